"""The end of real servers: signals, exit statuses, and who is sent away how."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.process.running import LISTENING, Daemon, ProcessTestCase, closed_with, read, runs
from tests.server import KEY, PATIENCE, Server, wait_for

SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER`: daemons become children of this process, so that it learns how they ended."""

HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
GOODBYE = b"\x88\x80\0\0\0\0"
"""A close frame of a client."""


def ready(port: int) -> tuple[int, dict[str, object]]:
    """Ask a server whether it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/ready")
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


class Stopping(ProcessTestCase):
    """Servers in the foreground."""

    def crowd(self, server: Server, count: int) -> list[ClientConnection]:
        """Connect some clients."""
        return [self.connect(server.websocket_port) for _ in range(count)]

    def test_signals(self) -> None:
        """Stop: on SIGTERM and SIGINT alike every client is closed with 4200, and the exit status is 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server() as server:
                clients = self.crowd(server, 3)
                server.signal(number)
                self.assertEqual(server.wait(), 0)
                self.assertEqual([closed_with(client) for client in clients], [4200] * 3)
                self.assertIn("Server Shut Down", server.log)
                self.assertNotIn("Traceback", server.log)

    def test_draining(self) -> None:
        """Stop: while clients are sent away `/ready` is 503, requests are answered, and newcomers are not let in."""
        for one_port in (False, True):
            with Server("--drain-seconds=60", one_port=one_port) as server:
                wait_for("being ready", lambda: ready(server.api_port) == (200, {"ready": True}))
                clients = self.crowd(server, 300)
                server.signal(signal.SIGTERM)
                self.assertEqual(closed_with(clients[0]), 4200)
                status, told = ready(server.api_port)
                self.assertEqual((status, told["ready"]), (503, False))
                self.assertIn("stopping", str(told["reason"]))
                self.assert_serves(clients[-1], "127.0.0.1", server.api_port)
                if one_port:
                    newcomer = self.enterContext(connect(f"ws://127.0.0.1:{server.websocket_port}/app/{KEY}"))
                    self.assertEqual(read(newcomer)["data"], {"code": 4100, "message": "Server is shutting down"})
                else:
                    with socket.socket() as probe:
                        self.assertNotEqual(probe.connect_ex(("127.0.0.1", server.websocket_port)), 0)
                self.assertTrue(Path(f"/proc/{server.pid}/exe").exists())

    def test_kept_alive(self) -> None:
        """Stop: while clients are sent away each answer ends its connection, also one to a request that had begun."""
        with Server("--drain-seconds=60") as server:
            clients = self.crowd(server, 300)
            callers = [self.enterContext(kept_alive(server.api_port)) for _ in range(3)]
            callers[1].sendall(HEALTH[:20])
            server.signal(signal.SIGTERM)
            self.assertEqual(closed_with(clients[0]), 4200)
            for caller, request in zip(callers, (HEALTH, HEALTH[20:], HEALTH * 2), strict=True):
                caller.sendall(request)
                answer = everything(caller)
                self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 1)
                self.assertIn(b"Connection: close\r\n", answer)
                self.assertIn(b'{"status":"ok"}', answer)

    def test_second_signal(self) -> None:
        """Stop: a second signal ends the process at once, by that signal, however many clients there are."""
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)):
            with Server("--drain-seconds=600") as server:
                clients = self.crowd(server, 150)
                server.signal(first)
                self.assertEqual(closed_with(clients[0]), 4200)
                server.signal(second)
                self.assertEqual(server.wait(), -second)

    def test_hangups(self) -> None:
        """Stop: a node that is told to reload meanwhile, to its very end, does not die of it."""
        with Server() as server:
            client = self.connect(server.websocket_port)
            server.signal(signal.SIGTERM)
            while runs(server.pid):
                os.kill(server.pid, signal.SIGHUP)
            self.assertEqual(server.wait(), 0)
            self.assertEqual(closed_with(client), 4200)
            self.assertNotIn("Traceback", server.log)

    def test_who_waits(self) -> None:
        """Stop: who is connected, but not accepted yet, is answered and not cut off: on both ports."""
        with Server() as server:
            server.pause()
            clients = [socket.create_connection(("127.0.0.1", server.websocket_port), PATIENCE) for _ in range(300)]
            requests = [socket.create_connection(("127.0.0.1", server.api_port), PATIENCE) for _ in range(300)]
            for client in clients:
                client.sendall(HANDSHAKE + GOODBYE)
            for request in requests:
                request.sendall(HEALTH)
            server.signal(signal.SIGTERM)
            server.resume()
            self.assertEqual(server.wait(), 0)
            for client in clients:
                self.assertIn(b"HTTP/1.1 101", everything(client))
            for request in requests:
                self.assertIn(b'{"status":"ok"}', everything(request))

    def test_daemon(self) -> None:
        """Stop: a daemon sends its clients away too, removes its pid file, and ends with status 0."""
        ctypes.CDLL(None).prctl(SUBREAPER, 1)
        self.addCleanup(ctypes.CDLL(None).prctl, SUBREAPER, 0)
        websocket, api = free_port(), free_port()
        with Daemon(f"--websocket-host=127.0.0.1:{websocket}", f"--api-host=127.0.0.1:{api}") as daemon:
            wait_for("listening", lambda: daemon.log_file.read_text().count(LISTENING) == 2)
            client = self.connect(websocket)
            os.kill(daemon.pid, signal.SIGTERM)
            self.assertEqual(closed_with(client), 4200)
            status: list[int] = []
            wait_for("its end", lambda: ended(daemon.pid, status.append))
            self.assertEqual(status, [0])
            self.assertFalse(daemon.pid_file.exists())


def kept_alive(port: int) -> socket.socket:
    """Connect to a server, and have it answer once."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(HEALTH)
    answer = b""
    while not answer.endswith(b"}"):
        part = connection.recv(65536)
        assert part, answer
        answer += part
    assert b"Connection: close" not in answer, answer
    return connection


def everything(connection: socket.socket) -> bytes:
    """Read to the end of a connection."""
    with connection:
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def ended(pid: int, tell: Callable[[int], object]) -> bool:
    """Tell how a child has ended, if it has."""
    gone, status = os.waitpid(pid, os.WNOHANG)
    if gone:
        tell(os.waitstatus_to_exitcode(status))
    return bool(gone)
