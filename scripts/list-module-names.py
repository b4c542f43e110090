"""Prints, as JSON, the names that modules of this environment have: of Python itself and of installed packages."""

import json
import keyword
import sys
from importlib.metadata import packages_distributions

json.dump(
    {
        "keywords": [*keyword.kwlist, *keyword.softkwlist],
        "standardLibrary": sorted(sys.stdlib_module_names),
        "packages": {name: min(owners) for name, owners in packages_distributions().items()},
    },
    sys.stdout,
)
