"""Real servers on every kind of port, among clients of every kind."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import socket
import ssl
import struct
import subprocess
import sys

import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.ports import free_port
from tests.process.running import Foreground, ProcessTestCase, ask, exchange, read
from tests.server import KEY, PATIENCE, SECRET, Server, wait_for

HALF_A_CLIENT = """
import signal, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(
    b"GET /app/%s?protocol=7 HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n" % sys.argv[2].encode()
)
message = b'{"event":"pusher:subscribe","data":{"channel":"half"}}'
connection.sendall(b"\\x81" + bytes([0x80 | len(message)]) + bytes(4) + message + b"\\x81\\xfe\\x10\\x00half of")
while b"subscription_succeeded" not in connection.recv(4096):
    pass
print("subscribed", flush=True)
signal.pause()  # until it is killed
"""
"""A client that subscribes, and stops in the middle of its next frame."""


def occupied(*api: object) -> set[str]:
    """Ask which channels are occupied."""
    status, body = ask("GET", "/apps/3/channels", b"", *api)
    assert status == 200, body
    return set(json.loads(body)["channels"])


class PortTests(ProcessTestCase):
    """Every kind of port."""

    def test_one_port(self) -> None:
        """One port: WebSockets and API share it when they are given the same address."""
        with Server(one_port=True) as server:
            self.assertEqual(server.websocket_port, server.api_port)
            for _ in range(2):
                self.assert_serves(self.connect(server.api_port), "127.0.0.1", server.api_port)

    def test_unix_socket(self) -> None:
        """Endpoint strings: the API on a socket of the file system."""
        port = free_port()
        path = self.folder / "api.sock"
        with Foreground(f"--websocket-host=127.0.0.1:{port}", f"--api-host=unix:{path}") as server:
            self.assertIn(f"API server listening on unix:{path}", server.out)
            self.assert_serves(self.connect(port), str(path))

    def test_websockets_on_unix_socket(self) -> None:
        """Endpoint strings: WebSockets on one too, where clients have no address, and the same one for both."""
        path = self.folder / "both.sock"
        with Foreground(f"--websocket-host=unix:{path}", f"--api-host=unix:{path}", ports=1):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(str(path))
                client.sendall(
                    f"GET /app/{KEY} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
                )
                received = b""
                while b"connection_established" not in received:
                    received += client.recv(4096)
            self.assertEqual(occupied(str(path)), set())

    def test_ipv6(self) -> None:
        """Addresses: IPv6 on the loopback interface."""
        websocket, api = free_port(), free_port()
        with Foreground(f"--websocket-host=[::1]:{websocket}", f"--api-host=[::1]:{api}") as server:
            self.assertIn(f"listening on [::1]:{websocket}", server.out)
            self.assert_serves(self.connect(websocket, "::1"), "::1", api)

    def test_tls(self) -> None:
        """TLS: with a certificate both ports speak it, and one port for both."""
        file, context = self.make_certificate()
        for one_port in (False, True):
            with Server(f"--tls-cert={file}", one_port=one_port) as server:
                client = self.connect(server.websocket_port, tls=context)
                self.assert_serves(client, "127.0.0.1", server.api_port, tls=context)

    def test_tls_endpoint_string(self) -> None:
        """TLS: Twisted's own endpoint strings speak it too."""
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(self.folder / "cert.pem"))
        context = ssl.create_default_context()
        authority.configure_trust(context)
        websocket, api = free_port(), free_port()
        files = f"privateKey={self.folder}/key.pem:certKey={self.folder}/cert.pem"
        options = (f"--websocket-host=ssl:{websocket}:{files}:interface=127.0.0.1", f"--api-host=127.0.0.1:{api}")
        with Foreground(*options):
            self.assert_serves(self.connect(websocket, tls=context), "127.0.0.1", api)


class LogTests(ProcessTestCase):
    """What is in the log."""

    def subscribe_privately(self, client: ClientConnection, socket_id: str) -> str:
        """Subscribe to a private channel, and give the signature."""
        signature = hmac.new(SECRET.encode(), f"{socket_id}:private-chat".encode(), hashlib.sha256).hexdigest()
        data = {"channel": "private-chat", "auth": f"{KEY}:{signature}"}
        client.send(json.dumps({"event": "pusher:subscribe", "data": data}))
        self.assertEqual(read(client)["event"], "pusher_internal:subscription_succeeded")
        client.send(json.dumps({"event": "pusher:subscribe", "data": {**data, "channel": "private-other"}}))
        self.assertIn("Invalid signature", read(client)["data"]["message"])
        return signature

    def log_of(self, *options: str) -> tuple[str, str]:
        """Let a client subscribe, and give the log and the signature."""
        with Server(*options) as server:
            url = f"ws://127.0.0.1:{server.websocket_port}/app/{KEY}"
            client = self.enterContext(connect(url, proxy=None, open_timeout=PATIENCE))
            signature = self.subscribe_privately(client, json.loads(read(client)["data"])["socket_id"])
            client.send("no JSON")
            for _ in range(3):  # the refusal of the second subscription in its other forms, and of this
                read(client)
            client.close()
            self.assertEqual(ask("GET", "/apps/3/channels", b"", "127.0.0.1", server.api_port)[0], 200)
            server.terminate()
            return server.log, signature

    def test_verbose(self) -> None:
        """Verbose: every frame in and out is in the log, without the secret and without any signature."""
        log, signature = self.log_of("-v")
        for frame in ("pusher:subscribe", "no JSON", "connection_established", "subscription_succeeded"):
            self.assertIn(frame, log)
        self.assertIn("private-chat", log)
        self.assertIn("***", log)
        self.assertNotIn(signature, log)
        self.assertNotIn(SECRET, log)
        self.assertNotIn("Traceback", log)

    def test_not_verbose(self) -> None:
        """Verbose: without it no frame is in the log, and still no secret."""
        log, signature = self.log_of()
        for frame in ("pusher:", "private-chat", signature, SECRET, "Traceback"):
            self.assertNotIn(frame, log)


class ClientTests(ProcessTestCase):
    """Clients that do not behave."""

    def test_killed(self) -> None:
        """Gone: a client killed half way is off its channels, and nobody else notices."""
        with Server() as server:
            neighbour = self.connect(server.websocket_port)
            self.subscribe(neighbour, "half")
            command = [sys.executable, "-c", HALF_A_CLIENT, str(server.websocket_port), KEY]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
                assert killed.stdout is not None
                self.assertEqual(killed.stdout.readline(), b"subscribed\n")
                neighbour.send('{"event":"pusher:unsubscribe","data":{"channel":"half"}}')
                self.subscribe(neighbour, "news")
                self.assertEqual(occupied("127.0.0.1", server.api_port), {"half", "news"})
                killed.kill()
            wait_for("the client's leave", lambda: occupied("127.0.0.1", server.api_port) == {"news"})
            self.assert_serves(neighbour, "127.0.0.1", server.api_port)
            self.assertNotIn("Traceback", server.log)

    def test_reset(self) -> None:
        """Gone: a connection that is reset, in whatever state, harms nobody."""
        with Server() as server:
            neighbour = self.connect(server.websocket_port)
            for port in (server.websocket_port, server.api_port):
                for sent in (b"", b"GET /app/", b"POST /apps/3/events HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"):
                    with socket.create_connection(("127.0.0.1", port)) as client:
                        client.sendall(sent)
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.assert_serves(neighbour, "127.0.0.1", server.api_port)
            self.assertNotIn("Traceback", server.log)

    def test_garbage(self) -> None:
        """One bad client hurts itself at most: any bytes on either port get an answer or an end, and harm nobody."""
        noise = random.Random(4567)  # the same bytes in each run
        garbage = [
            b"",
            b"\r\n\r\n",
            b"\x00" * 100_000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise.randbytes(500),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
            b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            *(noise.randbytes(2000) + b"\r\n\r\n" for _ in range(20)),
        ]
        for one_port in (False, True):
            with Server(one_port=one_port) as server:
                neighbour = self.connect(server.websocket_port)
                for port in {server.websocket_port, server.api_port}:
                    for sent in garbage:
                        self.assertNotIn(b"Traceback", exchange(port, sent))
                self.assert_serves(neighbour, "127.0.0.1", server.api_port)
                self.assertNotIn("Traceback", server.log)

    def test_garbage_after_the_handshake(self) -> None:
        """One bad client hurts itself at most: bytes that are no frames end their own connection alone."""
        noise = random.Random(8080)  # the same bytes in each run
        with Server() as server:
            neighbour = self.connect(server.websocket_port)
            for _ in range(20):
                client = self.connect(server.websocket_port)
                client.socket.sendall(bytes([0xF0 | noise.randrange(16)]) + noise.randbytes(300))
                with self.assertRaises(ConnectionClosed):
                    while True:
                        client.recv(PATIENCE)
            self.assert_serves(neighbour, "127.0.0.1", server.api_port)
            self.assertNotIn("Traceback", server.log)

    def test_refused_in_a_hurry(self) -> None:
        """Refused: a client that says goodbye right behind its handshake hears why it was not let in."""
        handshake = (
            b"GET /app/unknown?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        with Server() as server:
            self.assertIn(b'"code":4001', exchange(server.websocket_port, handshake + b"\x88\x80\0\0\0\0"))

    def test_many_at_once(self) -> None:
        """Fan-out: a hundred clients on one channel hear everything, once and in order."""
        with Server() as server:
            clients = [self.connect(server.websocket_port) for _ in range(100)]
            for client in clients:
                self.subscribe(client)
            for number in range(20):
                body = json.dumps({"name": "n", "channel": "news", "data": str(number)}).encode()
                self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", server.api_port)[0], 200)
            for client in clients:
                self.assertEqual([read(client)["data"] for _ in range(20)], [str(number) for number in range(20)])
