"""
Tests of the release command. They need neither root nor systemd:

    cd .ansible/roles/application
    python3 -m unittest discover --start-directory tests --top-level-directory .
"""

import sys
from pathlib import Path

# Ansible copies the directory of the modules to the server, with everything in it.
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "files"))
