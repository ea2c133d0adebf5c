"""Fetching the suite: once, into a cache folder, with an environment of its own.

It comes from PyPI as source and is ported by `port`; nothing of it is kept here. The old Autobahn that it is pinned to
could not live in one environment with ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
SUITE, AUTOBAHN = "autobahntestsuite-25.10.1", "autobahn-0.10.9"
TOOLS = ("setuptools<70", "wheel")
"""Autobahn's old setup.py asks for a module that newer ones have no more."""
NEEDS = ("twisted>=22.10,<27", "txaio>=21,<27", "six>=1.16,<2", "fissix>=24.4,<25", "wsaccel>=0.6.4,<0.7")
"""wsaccel masks and checks UTF-8 in C; without it the large messages take long."""

CHECK = """
import txaio; txaio.use_twisted()
from autobahntestsuite.case import Cases
from autobahntestsuite.case.case6_x_x import Case6_X_X
from autobahntestsuite.case.case6_2_1 import Case6_2_1
def valid(octets):
    try:
        octets.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
assert len(Cases) == 517, len(Cases)
for case in Case6_X_X:
    assert valid(case.PAYLOAD) == case.isValid, case.__name__
assert Case6_2_1.PAYLOAD.encode("latin-1").hex() == "48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121"
"""
"""The cases are all there, and their payloads are the octets that they should be."""


class BuildFailed(Exception):
    """The suite could not be fetched or ported."""


class Suite:
    """The ported suite.

    :param folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.python = folder / "venv" / "bin" / "python"
        self._lib = folder / "lib"

    def environment(self) -> dict[str, str]:
        """Give the environment in which its Python finds it."""
        return {**os.environ, "PYTHONPATH": str(self._lib)}

    def command(self, script: str, *arguments: str) -> list[str]:
        """Write the command that runs one of our scripts in its environment."""
        return [str(self.python), "-W", "ignore", str(HERE / script), *arguments]


def suite() -> Suite:
    """Give the ported suite, made now if it is not there; two runs never make it at once.

    :raises BuildFailed: with what went wrong.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slanger-tests"
    cache.mkdir(parents=True, exist_ok=True)
    recipe = b"".join((HERE / name).read_bytes() for name in ("build.py", "port.py")) + sys.version.encode()
    folder = cache / f"conformance-{hashlib.sha256(recipe).hexdigest()[:16]}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder)
            (folder / "done").touch()
    return Suite(folder)


def _build(folder: Path) -> None:
    made = Suite(folder)
    source = folder / "source"
    _run([sys.executable, "-m", "venv", str(folder / "venv")])
    pip = [str(made.python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", *TOOLS])
    _run([*pip, "install", *NEEDS])
    download = [*pip, "download", "--no-deps", "--no-binary=:all:", "--no-build-isolation", "--dest", str(source)]
    for package in (SUITE, AUTOBAHN):
        _run([*download, package.replace("-", "==")])
        with tarfile.open(source / f"{package}.tar.gz") as archive:
            archive.extractall(source, filter="data")
    unpacked = [str(source / package / package.partition("-")[0]) for package in (SUITE, AUTOBAHN)]
    _run(made.command("port.py", *unpacked, str(folder / "lib")))
    _run([str(made.python), "-W", "ignore", "-c", CHECK], made.environment())


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BuildFailed(f"{' '.join(command[:6])} ... ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
