"""The servers that are measured: slanger, started here; others, started by a command, or running already."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from tests.benchmarks.faults import Fault
from tests.benchmarks.processes import Processes
from tests.server import KEY, PATIENCE, SECRET, Server, wait_for

Address = tuple[str, int]
"""Host and port."""

Cores = frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that runs: where it is, what opens it, and its processes where they are known."""

    websocket: Address
    api: Address
    key: str
    secret: str
    app_id: str
    processes: Processes | None


def written(address: Address) -> str:
    """Write an address as URLs and Host headers have it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Target(Protocol):
    """A server that can be measured."""

    @property
    def name(self) -> str:
        """Head of its column."""

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words."""

    @property
    def starts(self) -> bool:
        """Whether each use is a new process."""

    def serving(self, cores: Cores) -> AbstractContextManager[Serving]:
        """Have it run.

        :param cores: for its processes, if they are started now.
        :raises Fault: it does not run.
        """


@dataclass(frozen=True, slots=True)
class Slanger:
    """The slanger of this Python, a process of its own on free ports.

    :param options: of slanger, beside key, secret and addresses.
    """

    options: tuple[str, ...] = ()
    name: str = "slanger"
    starts: bool = True

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words."""
        return " ".join(("started here, nothing logged but its start", *self.options))

    @contextmanager
    def serving(self, cores: Cores) -> Iterator[Serving]:
        """Start it, and end it afterwards."""
        server = Server(*self.options)
        try:
            with _on(cores):
                server.start()
        except AssertionError as fault:
            raise Fault(f"slanger does not start: {fault}") from None
        with _ended(server):
            yield Serving(
                websocket=("127.0.0.1", server.websocket_port),
                api=("127.0.0.1", server.api_port),
                key=KEY,
                secret=SECRET,
                app_id="1",
                processes=Processes((server.pid,)),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Any other server.

    :param pids: its processes, where it runs on this machine already.
    :param start: a command that starts it in the foreground; None where it runs.
    """

    name: str
    websocket: Address
    api: Address
    key: str
    secret: str
    app_id: str
    pids: tuple[int, ...] = ()
    start: str | None = None

    @property
    def starts(self) -> bool:
        """Whether each use is a new process."""
        return self.start is not None

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words."""
        if self.start is not None:
            return f"started by: {self.start}"
        where = f"running at {written(self.websocket)}"
        if not self.pids:
            return f"{where}; its processes are not known, so its CPU and memory are not"
        cores = ", ".join(map(str, Processes(self.pids).cores()))
        return f"{where}, process {', '.join(map(str, self.pids))} on cores {cores}"

    @contextmanager
    def serving(self, cores: Cores) -> Iterator[Serving]:
        """Start it where there is a command, and end it afterwards."""
        if self.start is None:
            self._check()
            yield self._serving(self.pids)
            return
        if self._listens():
            raise Fault(f"{self.name}: something listens on its ports already, so it cannot be started there")
        with tempfile.TemporaryFile() as log:
            try:
                with _on(cores):
                    process = subprocess.Popen(
                        shlex.split(self.start), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                    )
            except OSError as fault:
                raise Fault(f"{self.name} does not start: {fault}") from None
            with _group(process):
                try:
                    wait_for(f"{self.name} listening", lambda: process.poll() is not None or self._listens())
                except AssertionError as fault:
                    raise Fault(str(fault)) from None
                if process.poll() is not None:
                    log.seek(0)
                    last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
                    raise Fault(f"{self.name} ended with {process.returncode} at its start: {last}")
                yield self._serving((process.pid,))

    def _serving(self, pids: tuple[int, ...]) -> Serving:
        return Serving(
            websocket=self.websocket,
            api=self.api,
            key=self.key,
            secret=self.secret,
            app_id=self.app_id,
            processes=Processes(pids) if pids else None,
        )

    def _check(self) -> None:
        for address in (self.websocket, self.api):
            if not _connects(address):
                raise Fault(f"{self.name}: nobody listens on {written(address)}; start it, or give start=COMMAND")

    def _listens(self) -> bool:
        return _connects(self.websocket) and _connects(self.api)


def _connects(address: Address) -> bool:
    try:
        socket.create_connection(address, PATIENCE).close()
    except OSError:
        return False
    return True


@contextmanager
def _on(cores: Cores) -> Iterator[None]:
    """Have whatever is started meanwhile run on these cores."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


@contextmanager
def _ended(server: Server) -> Iterator[None]:
    """End a server that was started."""
    try:
        yield
    finally:
        server.__exit__()


@contextmanager
def _group(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process and those it has started."""
    try:
        yield
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
