"""
Runs a program that reports its steps as JSON lines, and does something at one moment of its run:

    run.py --units PATTERN [--after STEP] [--delay SECONDS] [--freeze] [--action COMMAND] -- PROGRAM…

The moment is when STEP has been reported or, without it, when a unit of this pattern runs. With
--freeze, everything in those units stands still while the action runs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

REACHED = pathlib.Path("/run/fault-reached")


def units(pattern):
    listing = ["systemctl", "list-units", "--all", "--plain", "--no-legend", pattern]
    found = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in found.splitlines() if line.strip()]


def signal(pattern, name):
    for unit in units(pattern):
        subprocess.run(["systemctl", "kill", f"--signal={name}", unit], check=False)


def strike(arguments):
    time.sleep(arguments.delay)
    if arguments.freeze:
        signal(arguments.units, "STOP")
    REACHED.touch()
    done = subprocess.run(arguments.action, shell=True, check=False, capture_output=True, text=True)
    if arguments.freeze:
        signal(arguments.units, "CONT")
    print(json.dumps({"event": "fault", "status": done.returncode, "said": done.stderr}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", required=True)
    parser.add_argument("--after", default="")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--action", default="")
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    REACHED.unlink(missing_ok=True)
    waiting = bool(arguments.action)
    process = subprocess.Popen(arguments.program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    while waiting and not arguments.after and process.poll() is None:
        if units(arguments.units):
            waiting = False
            strike(arguments)
    for line in process.stdout:
        print(line, end="", flush=True)
        event = json.loads(line)
        if waiting and event["event"] == "step" and event["name"] == arguments.after:
            waiting = False
            strike(arguments)
    sys.exit(process.wait())


main()
