"""A real server: a `twistd slanger` process on free ports of the loopback interface."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.ports import free_port, listens

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
PATIENCE = 20.0
"""Seconds after which a server that does not do what it should has failed the test."""

INTERVAL = 0.01
"""Seconds between two looks at whether something has happened."""


def twistd(*arguments: str) -> list[str]:
    """Write the command line of the twistd that belongs to this Python."""
    return [str(Path(sys.executable).parent / "twistd"), *arguments]


def wait_for(what: str, happened: Callable[[], object], patience: float = PATIENCE, interval: float = INTERVAL) -> None:
    """Poll until a callable tells that something has happened.

    :param interval: seconds between two polls.
    :raises AssertionError: it has not, within the patience.
    """
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} has not happened within {patience} s")
        time.sleep(interval)


def let_pass(seconds: float) -> None:
    """Wait, where the passing of time is itself what a test is about: a pause, a pace, a silence."""
    time.sleep(seconds)


class Server:
    """A foreground server; use it as a context manager.

    :param options: options of slanger, beside key, secret and addresses.
    :param one_port: whether WebSockets and REST share a port.
    :param websocket_port: a port that is free, such as one of a server that has ended; by default any.
    """

    def __init__(self, *options: str, one_port: bool = False, websocket_port: int | None = None) -> None:
        self.websocket_port = websocket_port or free_port()
        self.api_port = self.websocket_port if one_port else free_port()
        self._directory = tempfile.TemporaryDirectory()
        self.log_file = Path(self._directory.name, "log")
        self._command = twistd(
            "-n",
            "--pidfile=",
            "slanger",
            f"--app-key={KEY}",
            f"--websocket-host=127.0.0.1:{self.websocket_port}",
            f"--api-host=127.0.0.1:{self.api_port}",
            "--redis-url=none",
            *options,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._process.terminate()
        self.resume()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._directory.cleanup()

    @property
    def pid(self) -> int:
        """Tell the process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Give what the server has logged so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start, or start again on the same ports; wait until it listens."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory.name,
                env={**os.environ, "SLANGER_SECRET": SECRET},
            )
        wait_for("listening on both ports", self._listens)

    def terminate(self) -> int:
        """Send SIGTERM, wait, and give the exit status."""
        self._process.terminate()
        return self.wait()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end, and give the exit status."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end: the server cannot say goodbye to anybody."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def hang_up(self, says: str = "the settings were read again") -> str:
        """Send SIGHUP, and wait for what the log says of it; give that line."""
        before = len(self.log)
        self._process.send_signal(signal.SIGHUP)
        wait_for(says, lambda: f"{says}" in self.log[before:] and self.log.endswith("\n"))
        return next(line for line in self.log[before:].splitlines() if says in line)

    def pause(self) -> None:
        """Stop the process; its connections stay, and nobody answers on them."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped process go on."""
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.log}")
        return all(map(listens, (self.websocket_port, self.api_port)))
