"""
Puts releases of one site live on this host, and takes them back.

It is installed as /usr/local/sbin/<site>-release, one file that pack.py makes of these modules, and
reads /etc/<site>/release.json. It needs nothing but Python's standard library, systemd and
PostgreSQL's client programs.

How a release goes live is the table DEPLOY in steps/__init__.py. In short: the new release is
unpacked and started beside the one that is live, checked on a socket of its own, and then the
symbolic link `current` is renamed. That one rename switches the code, the traffic and what a reboot
starts. Until then nothing that visitors see has changed; until the last check after it, the old
release still runs and a second rename goes back to it.
"""
