"""nginx and HAProxy: those of the machine, or else Debian's packages, unpacked beside this file.

No root is needed: apt downloads what is missing here into a folder of ours, libraries included, and `dpkg -x` unpacks
it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

PACKAGES = ("nginx", "haproxy")
FOLDER = Path(__file__).parent / ".debian"
PLACES = ("/usr/sbin", "/usr/local/sbin")
"""Where distributions put servers; not every user's PATH has them."""

TIMEOUT = 300.0
"""Seconds that each step may take."""


def binary(name: str) -> str:
    """Give the path of a proxy.

    :raises RuntimeError: it is not here, and cannot be had by apt.
    """
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES])) or str(_unpacked() / name)


def environment() -> dict[str, str]:
    """Give the environment in which unpacked proxies find their libraries."""
    libraries = sorted({str(each.parent) for each in FOLDER.glob("root/usr/lib/**/*.so*")})
    known = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join([*([known] if known else []), *libraries])}


@cache
def _unpacked() -> Path:
    FOLDER.mkdir(exist_ok=True)
    stamp = FOLDER / "unpacked"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            _fetch()
            stamp.touch()
    return FOLDER / "root" / "usr" / "sbin"


def _fetch() -> None:
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"no {' and no '.join(PACKAGES)} here, and no apt-get to bring them: install both")
    lists, archives = FOLDER / "lists", FOLDER / "archives"
    for folder in (lists, archives):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    places = {
        "Dir::State::lists": lists,
        "Dir::Cache": FOLDER,
        "Dir::Cache::archives": archives,
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": 1,
    }
    apt = [
        "apt-get",
        "--quiet",
        "--yes",
        *(part for name, value in places.items() for part in ("-o", f"{name}={value}")),
    ]
    _run(*apt, "update")
    _run(*apt, "--no-install-recommends", "--download-only", "install", *PACKAGES)
    for package in archives.glob("*.deb"):
        _run("dpkg", "-x", str(package), str(FOLDER / "root"))
    shutil.rmtree(lists)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
