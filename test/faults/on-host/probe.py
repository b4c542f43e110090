"""
Asks the site's health page from inside of the host, 20 times per second, until it is told to stop:

    probe.py DOMAIN RESULT
"""

import http.client
import json
import signal
import socket
import ssl
import sys
import time

domain, result_file = sys.argv[1:]
result = {"requests": 0, "lost": [], "releases": []}
running = True
context = ssl._create_unverified_context()


def stop(*_):
    global running
    running = False


def ask():
    plain = socket.create_connection(("127.0.0.1", 443), timeout=15)
    connection = http.client.HTTPConnection(domain)
    connection.sock = context.wrap_socket(plain, server_hostname=domain)
    try:
        connection.request("GET", "/health/", headers={"Host": domain})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"status {response.status}")
        return json.loads(body)["release"]
    finally:
        connection.close()


signal.signal(signal.SIGTERM, stop)
while running:
    result["requests"] += 1
    try:
        release = ask()
        if release not in result["releases"]:
            result["releases"].append(release)
    except (OSError, ValueError, http.client.HTTPException) as error:
        result["lost"].append(str(error) or type(error).__name__)
    time.sleep(0.05)
with open(result_file, "w") as file:
    json.dump(result, file)
