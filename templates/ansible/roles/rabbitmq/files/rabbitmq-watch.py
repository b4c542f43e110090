#!/usr/bin/python3
"""
Restarts a RabbitMQ that runs and serves nobody.

After a disk was full it can stay so: systemd sees a process that is well, while every client is turned away
at once. A timer runs this each minute. It restarts the broker only if nobody is served several times in a
row, and there is room on the disk again: without room it would be no better afterwards.
"""

import shutil
import socket
import subprocess
import sys
import time

UNIT = "rabbitmq-server.service"
DIRECTORY = "/var/lib/rabbitmq"
ADDRESS = ("127.0.0.1", 5672)
# What a client of AMQP 0-9-1 says first; the broker answers with a frame of the type "method".
GREETING = b"AMQP\0\0\x09\x01"
METHOD = b"\x01"
TRIES = 3
PAUSE_SECONDS = 5
ANSWER_SECONDS = 10
# Less than this, and RabbitMQ takes no messages anyway.
ROOM_BYTES = 64 * 1024 * 1024
# A broker that has just been started may need that long.
START_SECONDS = 60


def answers():
    """Whether the broker greets a client."""
    try:
        with socket.create_connection(ADDRESS, ANSWER_SECONDS) as connection:
            connection.sendall(GREETING)
            return connection.recv(1) == METHOD
    except OSError:
        return False


def runs():
    """Whether systemd takes the broker for up, and has for a while."""
    shown = ["systemctl", "show", "--property=ActiveState,ActiveEnterTimestampMonotonic", UNIT]
    lines = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.splitlines()
    state = dict(line.split("=", 1) for line in lines)
    age = time.monotonic() - int(state["ActiveEnterTimestampMonotonic"]) / 1_000_000
    return state["ActiveState"] == "active" and age > START_SECONDS


def main():
    """Looks several times, and restarts the broker if it never answers."""
    if not runs():
        return
    for attempt in range(TRIES):
        if answers():
            return
        if attempt < TRIES - 1:
            time.sleep(PAUSE_SECONDS)
    if shutil.disk_usage(DIRECTORY).free < ROOM_BYTES:
        sys.exit(f"{UNIT} turns clients away, and {DIRECTORY} has no room for a restart")
    print(f"{UNIT} runs and turns clients away: restarting it", flush=True)
    subprocess.run(["systemctl", "restart", "--no-block", UNIT], check=True)


if __name__ == "__main__":
    main()
