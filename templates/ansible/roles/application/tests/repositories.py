"""
Repositories of restic's for tests. They are real, but for one thing: their password is quick to try.

restic makes a password cost half a second at each start, on purpose. Here it costs nothing, because the
key of a repository is sealed anew, as restic would seal it on the slowest computer there is.
"""

import atexit
import base64
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def restic(repository, *words, password, **variables):
    """Runs restic and returns what it prints."""
    done = subprocess.run(
        ["restic", "--repo", repository, "--no-cache", *words],
        env={**os.environ, "RESTIC_PASSWORD": password, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@functools.cache
def templates(password):
    """Two empty repositories that cut files into the same pieces."""
    directory = Path(tempfile.mkdtemp(prefix="restic"))
    atexit.register(shutil.rmtree, directory)
    first, second = directory / "first", directory / "second"
    restic(first, "init", password=password)
    like = ["--from-repo", str(first), "--copy-chunker-params"]
    restic(second, "init", *like, password=password, RESTIC_FROM_PASSWORD=password)
    for repository in (first, second):
        make_quick(repository, password)
    return first, second


def make_quick(repository, password):
    """Replaces the key of a repository by one whose password is quick to try."""
    master = json.loads(restic(repository, "cat", "masterkey", password=password))
    (old,) = (repository / "keys").iterdir()
    entry = json.loads(old.read_text())
    salt, initial = os.urandom(64), os.urandom(16)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=2, r=1, p=1, dklen=64)
    encryption, mac_key, mac_factor = derived[:32], derived[32:48], derived[48:]
    sealed = openssl("aes-256-ctr", encryption, json.dumps(master).encode(), "-iv", initial.hex())
    mask = openssl("aes-128-ecb", mac_key, initial, "-nopad")
    data = initial + sealed + poly1305(mac_factor, mask, sealed)
    entry.update(N=2, r=1, p=1, salt=base64.b64encode(salt).decode(), data=base64.b64encode(data).decode())
    text = json.dumps(entry).encode()
    old.unlink()
    (repository / "keys" / hashlib.sha256(text).hexdigest()).write_bytes(text)


def openssl(cipher, key, data, *options):
    """Encrypts data."""
    words = ["openssl", "enc", f"-{cipher}", "-K", key.hex(), *options]
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout


def poly1305(factor, mask, data):
    """The checksum of RFC 8439, 2.5."""
    r = int.from_bytes(factor, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(data), 16):
        total = (total + int.from_bytes(data[start : start + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(mask, "little")) % 2**128).to_bytes(16, "little")
