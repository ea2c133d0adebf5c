"""Older versions of SDKs, each in a folder of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.sdk import node
from tests.sdk.driver import JS
from tests.sdk.scorecard.versions import Scored


class InstallFailed(Exception):
    """A version could not be had."""


def newest(sdk: Scored) -> str:
    """Tell the version that the ordinary tests drive."""
    if sdk.registry == "pypi":
        return metadata.version(sdk.package)
    packages = json.loads((JS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return str(packages[sdk.package])


def environment(sdk: Scored, version: str) -> dict[str, str]:
    """Give the environment in which the tests drive a version; it is installed now if need be.

    :raises InstallFailed: with what the installer said.
    """
    ours = {**os.environ, "SDK_BUILD": sdk.build}
    if version == newest(sdk):
        return ours
    folder = _installed(sdk, version)
    if sdk.registry == "npm":
        return ours | {"SDK_FOLDERS": json.dumps({sdk.package: str(folder)})}
    return ours | {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def _installed(sdk: Scored, version: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slanger-tests" / "sdks"
    folder = cache / f"{sdk.registry}-{sdk.package}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(sdk, version, folder)
            (folder / "done").touch()
    return folder


def _install(sdk: Scored, version: str, folder: Path) -> None:
    if sdk.registry == "npm":
        (folder / "package.json").write_text('{"private": true}')
        command = [str(node.NODE), str(node.NPM), "install", "--no-audit", "--no-fund", f"{sdk.package}@{version}"]
    else:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command = [*pip, "--target", str(folder), f"{sdk.package}=={version}", *sdk.beside]
    ended = subprocess.run(command, cwd=folder, env=node.environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise InstallFailed(f"{sdk.name} {version}: {ended.stdout}{ended.stderr}")
