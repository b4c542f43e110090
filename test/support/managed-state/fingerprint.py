"""
Prints what is at the paths that come by standard input, and the state of the site that is no file.

Of a file whose content is made once, only that it is there counts.
"""

import grp
import hashlib
import json
import os
import pwd
import stat
import subprocess
import sys

request = json.load(sys.stdin)


def name(table, number):
    try:
        return table(number)[0]
    except KeyError:
        return str(number)


def describe(path, kept):
    try:
        status = os.lstat(path)
    except OSError:
        return "nothing"
    owner = f"{name(pwd.getpwuid, status.st_uid)}:{name(grp.getgrgid, status.st_gid)}"
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if stat.S_ISLNK(status.st_mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(status.st_mode):
        return f"directory {owner} {mode}"
    if kept:
        return f"file {owner} {mode}"
    with open(path, "rb") as file:
        return f"file {owner} {mode} {hashlib.sha256(file.read()).hexdigest()[:16]}"


def ask(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd="/")
    return done.stdout.strip()


found = {entry["path"]: describe(entry["path"], entry["kept"]) for entry in request["files"]}
for unit in request["units"]:
    found[f"unit {unit}"] = ask(f"systemctl is-enabled {unit}; systemctl is-active {unit}")
site = request["site"]
found["account"] = ask(f"getent passwd {site} deploy; getent shadow deploy | cut -d : -f 1,2")
found["firewall"] = ask("ufw status | sort")
found["packages"] = ask("dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' | sha256sum")
found["database"] = ask(
    "runuser -u postgres -- psql -Atqc \"select datname, datdba::regrole, datacl from pg_database order by 1;"
    ' select rolname, rolsuper, rolcreatedb, rolcanlogin from pg_roles order by 1"'
)
found["broker"] = ask("rabbitmqctl -q list_vhosts; rabbitmqctl -q list_users; rabbitmqctl -q list_permissions -p " + site)
print(json.dumps(found))
