"""
Tests of the release command. They need neither root nor systemd:

    cd .ansible/roles/application
    python3 -m unittest discover --start-directory tests --top-level-directory .
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "files"))
