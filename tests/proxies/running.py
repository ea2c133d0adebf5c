"""Real proxies before real nodes, configured by the files of the documentation."""

from __future__ import annotations

import getpass
import grp
import os
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.ports import free_port
from tests.proxies import debian
from tests.server import PATIENCE, wait_for

DOCS = Path(__file__).parents[2] / "docs" / "howto" / "proxies"


def adapted(name: str, changes: Mapping[str, str]) -> str:
    """Give a file of the documentation with other addresses; each must stand in it."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} does not say {old!r}"
        text = text.replace(old, new)
    return text


class RunningProxy:
    """A proxy process; use it as a context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory()
        self.folder = Path(self._directory.name)
        self.command: list[str] = []

    def __enter__(self) -> Self:
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                self.command, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder, env=debian.environment()
            )
        wait_for(f"{self.name} listening", self._listens)
        return self

    def __exit__(self, *fault: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._directory.cleanup()

    @property
    def out(self) -> str:
        """What it has said so far."""
        return (self.folder / "out").read_text(encoding="utf-8", errors="replace")

    def children(self) -> set[str]:
        """Give the process ids of its workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(path.read_text(encoding="ascii").split())

    def reload(self, number: signal.Signals) -> None:
        """Have it read its configuration again, and wait until a new worker is there."""
        before = self.children()
        self.process.send_signal(number)
        try:
            wait_for("a new worker", lambda: self.children() - before)
        except AssertionError as fault:
            raise AssertionError(f"{fault}; {self.name} said:\n{self.out}") from None

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.out}")
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.port))


class Nginx(RunningProxy):
    """nginx, with files of its `conf.d`.

    :param site: what would be in `/etc/nginx/conf.d/slanger.conf`; `PORT` stands for the port it serves.
    """

    def __init__(self, site: str) -> None:
        super().__init__("nginx")
        user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
        parts = "".join(
            f"{part}_temp_path {self.folder / part};" for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "slanger.conf").write_text(site.replace("PORT", str(self.port)), encoding="utf-8")
        (self.folder / "nginx.conf").write_text(
            f"user {user} {group}; pid {self.folder}/pid; daemon off; events {{}}"
            f" http {{ access_log off; {parts} include {self.folder}/slanger.conf; }}",
            encoding="utf-8",
        )
        self.command = [
            debian.binary("nginx"),
            "-e",
            "stderr",
            "-p",
            str(self.folder),
            "-c",
            str(self.folder / "nginx.conf"),
        ]


class Haproxy(RunningProxy):
    """HAProxy.

    :param text: what would be in `/etc/haproxy/haproxy.cfg`; `PORT` stands for the port it serves.
    """

    def __init__(self, text: str) -> None:
        super().__init__("haproxy")
        file = self.folder / "haproxy.cfg"
        file.write_text(text.replace("PORT", str(self.port)), encoding="utf-8")
        self.command = [debian.binary("haproxy"), "-W", "-f", str(file)]


def from_address(address: str, port: int, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Connect to a port of this machine from another one of its own addresses, such as 127.0.0.9."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(address, 0))
    return connection if tls is None else tls.wrap_socket(connection, server_hostname="localhost")
