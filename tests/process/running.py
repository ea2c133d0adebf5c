"""Real `twistd` processes: run to their end, in the foreground, or as daemons; and ways to talk to them."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.api.requests import signed_target
from tests.server import KEY, PATIENCE, SECRET, twistd, wait_for

LISTENING = "listening on "


def environment(**more: str) -> Mapping[str, str]:
    """Give this process's environment, without what is meant for other servers, and the secret in it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SLANGER_")}
    return {**ours, "SLANGER_SECRET": SECRET, **more}


def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run twistd to its end."""
    return subprocess.run(
        twistd(*arguments),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Foreground:
    """A server in the foreground whose two outputs are kept apart; use it as a context manager.

    :param ports: on how many ports it will listen.
    :param config: the settings file, which then has the apps; by default there is one app, on the command line.
    """

    def __init__(self, *options: str, ports: int = 2, config: str | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.folder = Path(self._directory.name)
        self._environment = environment()
        app = (f"--app-key={KEY}",)
        if config is not None:
            (self.folder / "slanger.toml").write_text(config, encoding="utf-8")
            self._environment = environment(SLANGER_SECRET="")
            app = ("--config=slanger.toml",)
        self._command = twistd("-n", "--pidfile=", "slanger", *app, "--redis-url=none", *options)
        self._ports = ports

    def __enter__(self) -> Foreground:
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                self._command, stdout=out, stderr=err, cwd=self.folder, env=self._environment
            )
        wait_for("listening", self._listens)
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
        """What it has written to stdout."""
        return (self.folder / "out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it has written to stderr."""
        return (self.folder / "err").read_text(encoding="utf-8")

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.err}{self.out}")
        return self.out.count(LISTENING) == self._ports


class Daemon:
    """A daemonised server; use it as a context manager."""

    def __init__(self, *options: str) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.folder = Path(self._directory.name)
        self.pid_file, self.log_file = self.folder / "slanger.pid", self.folder / "slanger.log"
        self._options = options

    def __enter__(self) -> Daemon:
        files = (f"--pidfile={self.pid_file}", f"--logfile={self.log_file}")
        self.started = run(*files, "slanger", f"--app-key={KEY}", "--redis-url=none", *self._options, cwd=self.folder)
        self.pid = int(self.pid_file.read_text()) if self.pid_file.exists() else 0
        return self

    def __exit__(self, *fault: object) -> None:
        if self.pid and self.runs():
            os.kill(self.pid, signal.SIGKILL)
        self._directory.cleanup()

    def runs(self) -> bool:
        """Whether its process is there."""
        return runs(self.pid)

    def terminate(self) -> None:
        """Send SIGTERM, and wait for the end."""
        os.kill(self.pid, signal.SIGTERM)
        wait_for("the end of the daemon", lambda: not self.runs())


class InTurns(ssl.SSLSocket):
    """TLS for a client that reads in one thread and writes in another, as the library does.

    OpenSSL bears but one of them at a time; left to themselves, one connection in some hundred was stuck at its start.
    """

    @property
    def turn(self) -> threading.Lock:
        """Whoever has it may read or write."""
        lock: threading.Lock = self.__dict__.setdefault("_turn", threading.Lock())
        return lock

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read, and let others write while there is nothing to read."""
        while True:
            with self.turn:
                timeout = self.gettimeout()
                self.settimeout(0)
                try:
                    return super().recv(buflen, flags)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.settimeout(timeout)
            if not select.select([self], [], [], timeout)[0]:
                raise TimeoutError

    def send(self, data: Any, flags: int = 0) -> int:
        """Write."""
        with self.turn:
            return super().send(data, flags)


class ProcessTestCase(SynchronousTestCase):
    """Talks to real servers."""

    def setUp(self) -> None:
        """Make an empty folder."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)

    def make_certificate(self) -> tuple[Path, ssl.SSLContext]:
        """Make a certificate: the file of it and its key, and what a client needs to trust it."""
        authority, file, context = trustme.CA(), self.folder / "both.pem", ssl.create_default_context()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
        authority.configure_trust(context)
        return file, context

    def connect(
        self, port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, key: str = KEY
    ) -> ClientConnection:
        """Connect a client, and take its `connection_established`. It reads all that comes, whether asked to or not."""
        where = f"[{host}]" if ":" in host else host
        scheme = "ws" if tls is None else "wss"
        if tls is not None:
            tls.sslsocket_class = InTurns
        url = f"{scheme}://{where}:{port}/app/{key}?protocol=7&client=test"
        client = self.enterContext(connect(url, ssl=tls, proxy=None, open_timeout=PATIENCE, max_queue=None))
        self.assertEqual(read(client)["event"], "pusher:connection_established")
        return client

    def subscribe(self, client: ClientConnection, channel: str = "news") -> None:
        """Put a client on a public channel."""
        client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
        self.assertEqual(read(client)["event"], "pusher_internal:subscription_succeeded")

    def assert_serves(self, client: ClientConnection, *api: Any, tls: ssl.SSLContext | None = None) -> None:
        """Subscribe a client, trigger an event, and see it come.

        :param api: host and port of the API, or the path of its socket.
        """
        self.subscribe(client, "check")
        body = json.dumps({"name": "price", "channel": "check", "data": "1"}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, *api, tls=tls), (200, b"{}"))
        self.assertEqual(read(client), {"event": "price", "channel": "check", "data": "1"})
        client.send('{"event":"pusher:unsubscribe","data":{"channel":"check"}}')


def read(client: ClientConnection) -> Any:
    """Read one message."""
    return json.loads(client.recv(PATIENCE))


def closed_with(client: ClientConnection) -> int | None:
    """Read to the end of a connection, and give the close code; None where it just ended."""
    try:
        while True:
            client.recv(PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def children(pid: int) -> set[int]:
    """Give the process ids of a process's children."""
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def runs(pid: int) -> bool:
    """Whether a process is there; one that has ended may wait for whoever adopted it to notice."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def ask(
    method: str,
    path: str,
    body: bytes,
    *api: Any,
    tls: ssl.SSLContext | None = None,
    key: str = KEY,
    secret: str = SECRET,
) -> tuple[int, bytes]:
    """Send a signed request; give status and body."""
    connection = _Connection(*api, tls=tls)
    target = signed_target(method, path, (), body, int(time.time()), key, secret)
    connection.request(method, target, body)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, say no more, and read what comes until the end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                received += piece
        except ConnectionError:  # it was hung up on while it still spoke
            pass
    return received


class _Connection(http.client.HTTPConnection):
    """HTTP to a host and port, with TLS or without, or to the path of a socket."""

    def __init__(self, *api: Any, tls: ssl.SSLContext | None = None) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._api = api
        self._tls = tls

    def connect(self) -> None:
        """Connect."""
        if len(self._api) == 1:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(self._api[0])
        else:
            self.sock = socket.create_connection(self._api, PATIENCE)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname="127.0.0.1")
