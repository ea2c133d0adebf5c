"""Real servers under what systemd gives them: a socket to tell it how they are, and sockets to listen on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from slanger.services.drain import LONGEST
from tests.cluster.redis import RedisServer
from tests.notified import NotifySocket
from tests.ports import free_port
from tests.process import activate
from tests.process.running import LISTENING, ProcessTestCase, children, environment, read
from tests.server import KEY, PATIENCE, twistd, wait_for

COUNT = 2
"""Workers."""


class SystemdTestCase(ProcessTestCase):
    """Servers started as systemd would."""

    def setUp(self) -> None:
        """Have a place for their log."""
        super().setUp()
        self.log_file = self.folder / "log"

    def start(
        self, *options: str, sockets: dict[str, socket.socket] | None = None, **more: str
    ) -> subprocess.Popen[bytes]:
        """Start a server.

        :param sockets: those that systemd passes on, by name.
        :param more: of its environment.
        """
        command = twistd("-n", "--pidfile=", "slanger", f"--app-key={KEY}", "--redis-url=none", *options)
        passed = {name: each.fileno() for name, each in (sockets or {}).items()}
        if passed:
            assert activate.__file__ is not None
            names = [f"{name}={descriptor}" for name, descriptor in passed.items()]
            command = [sys.executable, activate.__file__, *names, "--", *command]
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment(**more),
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(passed.values()),
            )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """End a server, if it has not ended; give the exit status."""
        process.terminate()
        try:
            return process.wait(PATIENCE)
        finally:
            process.kill()

    @property
    def log(self) -> str:
        """What the servers have logged."""
        return self.log_file.read_text(encoding="utf-8")


class Notified(SystemdTestCase):
    """Servers that tell systemd how they are."""

    def setUp(self) -> None:
        """Have a socket that hears them."""
        super().setUp()
        self.socket = self.enterContext(NotifySocket())
        self.websocket, self.api = free_port(), free_port()
        self.ports = (f"-w127.0.0.1:{self.websocket}", f"-a127.0.0.1:{self.api}")

    def test_life(self) -> None:
        """systemd: ready when both ports serve, signs of life and a status meanwhile, then that it stops."""
        process = self.start(*self.ports, NOTIFY_SOCKET=self.socket.address, WATCHDOG_USEC="200000")
        self.socket.expect("READY=1")
        client = self.connect(self.websocket)
        self.assert_serves(client, "127.0.0.1", self.api)
        self.socket.expect("STATUS=ready; connections: 1")
        self.socket.forget()
        wait_for("signs of life", lambda: self.socket.hear().count("WATCHDOG=1") > 3)
        self.assertNotIn("STOPPING=1", self.socket.hear())
        self.assertEqual(self.end(process), 0)
        self.assertIn("STOPPING=1", self.socket.hear())
        self.assertIn(f"EXTEND_TIMEOUT_USEC={int((10 + LONGEST) * 1_000_000)}", self.socket.hear())

    def test_not_ready(self) -> None:
        """systemd: a server that cannot listen never says that it is ready."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports = (f"-w127.0.0.1:{self.websocket}", f"-a127.0.0.1:{taken.getsockname()[1]}")
            process = self.start(*ports, NOTIFY_SOCKET=self.socket.address)
            self.assertEqual(process.wait(PATIENCE), 1)
        self.assertNotIn("READY=1", self.socket.hear())

    def test_joined_first(self) -> None:
        """systemd: a node is ready when it has joined the others."""
        with RedisServer() as redis:
            self.start(*self.ports, f"--redis-url={redis.url}", NOTIFY_SOCKET=self.socket.address)
            self.socket.expect("READY=1")
            self.assertIn("joined Redis", self.log)

    def test_workers(self) -> None:
        """systemd: workers are ready when all of them are; one that is stuck is replaced, and nobody else is told."""
        with RedisServer() as redis:
            process = self.start(
                *self.ports,
                f"--redis-url={redis.url}",
                f"--workers={COUNT}",
                NOTIFY_SOCKET=self.socket.address,
                WATCHDOG_USEC="1000000",
            )
            self.socket.expect("READY=1")
            self.assertEqual(self.log.count(LISTENING), 2 * COUNT)
            before = children(process.pid)
            self.assertEqual(len(before), COUNT)
            os.kill(min(before), signal.SIGSTOP)
            wait_for("another worker", lambda: len(children(process.pid) - before) == 1)
            wait_for("it listens", lambda: self.log.count(LISTENING) == 2 * (COUNT + 1))
            self.assertIn("is stuck", self.log)
            self.assertNotIn(min(before), children(process.pid))
            self.socket.expect("WATCHDOG=1")
            self.assertEqual(self.socket.hear().count("READY=1"), 1)
            self.assertNotIn("STOPPING=1", self.socket.hear())
            self.assertEqual(self.end(process), 0)
            self.assertEqual(self.socket.hear().count("STOPPING=1"), 1)


class Activated(SystemdTestCase):
    """Servers on sockets that systemd listens on."""

    def setUp(self) -> None:
        """Have two sockets."""
        super().setUp()
        names = ("websocket", "api")
        self.sockets = {name: self.enterContext(socket.create_server(("127.0.0.1", 0))) for name in names}
        self.websocket, self.api = (each.getsockname()[1] for each in self.sockets.values())
        self.named = ("-w", "systemd:websocket", "-a", "systemd:api")

    def test_by_name(self) -> None:
        """Socket activation: sockets are found by name, in whichever order they come."""
        for order in (1, -1):
            process = self.start(*self.named, sockets=dict(list(self.sockets.items())[::order]))
            self.assert_serves(self.connect(self.websocket), "127.0.0.1", self.api)
            self.assertEqual(self.end(process), 0)

    def test_one_socket(self) -> None:
        """Socket activation: one socket may serve both, and may be of IPv6."""
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as both:
            port = both.getsockname()[1]
            process = self.start("-w", "systemd:web", "-a", "systemd:web", sockets={"web": both})
            self.assert_serves(self.connect(port, "::1"), "::1", port)
            self.assertEqual(self.end(process), 0)

    def test_twisted_form(self) -> None:
        """Socket activation: Twisted's own way to write it works beside ours."""
        self.start("-w", "systemd:websocket", "-a", "systemd:domain=INET:name=api", sockets=self.sockets)
        self.assert_serves(self.connect(self.websocket), "127.0.0.1", self.api)

    def test_tls(self) -> None:
        """Socket activation: such a socket may speak TLS, with the certificate of the settings."""
        certificate, context = self.make_certificate()
        self.start(*self.named, f"--tls-cert={certificate}", sockets=self.sockets)
        self.assert_serves(self.connect(self.websocket, tls=context), "127.0.0.1", self.api, tls=context)

    def test_successor(self) -> None:
        """Socket activation: who comes while a server ends waits in the socket, and is served by its successor."""
        process = self.start(*self.named, "--drain-seconds=60", sockets=self.sockets)
        crowd = [self.connect(self.websocket) for _ in range(200)]
        process.terminate()
        self.assertEqual(read(crowd[0])["data"]["code"], 4200)
        with socket.create_connection(("127.0.0.1", self.websocket), PATIENCE) as waiting:
            waiting.sendall(
                f"GET /app/{KEY} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            self.assertEqual(process.wait(PATIENCE), 0)
            self.start(*self.named, sockets=self.sockets)
            self.assertIn(b"connection_established", waiting.recv(65536))

    def test_unknown(self) -> None:
        """Socket activation: a name that systemd has no socket for is one sentence, with the names there are."""
        process = self.start("-w", "systemd:websocket", "-a", "systemd:rest", sockets=self.sockets)
        self.assertEqual(process.wait(PATIENCE), 1)
        self.assertIn(
            "cannot listen on systemd:rest: systemd passes no socket of that name on: websocket, api", self.log
        )
        self.assertNotIn("Traceback", self.log)
