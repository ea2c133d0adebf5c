"""On what it was measured: machine, system, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("Twisted", "autobahn", "msgspec", "httptools", "hiredis", "pyOpenSSL")
_GIGABYTE = 1 << 30


def describe() -> Mapping[str, str]:
    """Describe machine and system, and the slanger of this Python."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIGABYTE
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "slanger": ", ".join(filter(None, (_version("slanger"), _commit()))),
        "libraries": ", ".join(f"{each} {_version(each)}" for each in LIBRARIES),
    }


def busy() -> str:
    """Tell how many processes wanted to run in the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, platform.processor())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _commit() -> str:
    """Name the commit, where this is a clone and git is there."""
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            ("git", "describe", "--always", "--dirty"), cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"commit {told.stdout.strip()}"
