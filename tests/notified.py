"""The side of systemd that services speak to: a socket that hears how they are."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Self

from tests.server import PATIENCE, wait_for


class NotifySocket:
    """Hears what services say of themselves (sd_notify(3)); use it as a context manager.

    :param address: an abstract one, after ``@``; by default a path.
    :ivar told: the lines of each datagram, in order.
    """

    def __init__(self, address: str | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.address = address or str(Path(self._directory.name, "notify"))
        self.told: list[list[str]] = []

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + self.address[1:] if self.address.startswith("@") else self.address)
        return self

    def __exit__(self, *fault: object) -> None:
        self._socket.close()
        self._directory.cleanup()

    def hear(self) -> list[str]:
        """Take in what has come; give all lines so far."""
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return [line for lines in self.told for line in lines]

    def expect(self, line: str, patience: float = PATIENCE) -> None:
        """Wait for a line."""
        wait_for(line, lambda: line in self.hear(), patience)

    def forget(self) -> None:
        """Forget what has come."""
        self.hear()
        self.told.clear()
