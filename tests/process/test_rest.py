"""REST requests of every shape, over real sockets."""

from __future__ import annotations

import socket
import time

from tests.api.requests import read_responses, request_bytes, signed_target
from tests.process.running import ProcessTestCase, exchange
from tests.server import PATIENCE, Server

BODY = b'{"name":"n","channel":"news","data":"d"}'


def trigger(**headers: str) -> bytes:
    """Write a trigger, signed now."""
    target = signed_target("POST", "/apps/3/events", (), BODY, int(time.time()))
    return request_bytes("POST", target, BODY, **headers)


def query() -> bytes:
    """Write a query of the channels, signed now."""
    return request_bytes("GET", signed_target("GET", "/apps/3/channels", timestamp=int(time.time())))


class RestTests(ProcessTestCase):
    """Connections that carry all kinds of requests."""

    def assert_statuses(self, client: socket.socket, sent: bytes, *statuses: int) -> None:
        """Send bytes, and check what they are answered."""
        client.sendall(sent)
        received = b""
        while received.count(b"HTTP/1.1 ") < len(statuses) or not received.endswith((b"}", b"\n")):
            piece = client.recv(65536)
            assert piece, received
            received += piece
        self.assertEqual([response.status for response in read_responses(received)], list(statuses))

    def converse(self, client: socket.socket) -> None:
        """Send plain requests and others in turn, whole, in pieces and several at once."""
        client.settimeout(PATIENCE)
        for _ in range(2):
            self.assert_statuses(client, trigger(), 200)
            self.assert_statuses(client, trigger(X="a\r\n folded") + trigger(), 200, 200)
            self.assert_statuses(client, query() + trigger() + request_bytes("PUT", "/"), 200, 200, 404)
            request = trigger()
            at = request.index(b"\r\n\r\n") + 4
            for place in (10, at, at + 9):
                client.sendall(request[:place])
                self.assert_statuses(client, request[place:] + query(), 200, 200)
            head = request[:at].replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nX-Length")
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
            self.assert_statuses(client, head + chunks, 200)

    def test_ports(self) -> None:
        """HTTP: on a port of its own, on one port with the WebSockets, and over TLS."""
        file, context = self.make_certificate()
        for one_port in (False, True):
            for options in ((), (f"--tls-cert={file}",)):
                with Server(*options, one_port=one_port) as server:
                    with socket.create_connection(("127.0.0.1", server.api_port), PATIENCE) as client:
                        if options:
                            with context.wrap_socket(client, server_hostname="127.0.0.1") as secured:
                                self.converse(secured)
                        else:
                            self.converse(client)
                    self.assertNotIn("Traceback", server.log)

    def test_last_words(self) -> None:
        """HTTP: who sends a request and closes his side at once still hears the answer."""
        with Server() as server:
            for _ in range(20):
                (response,) = read_responses(exchange(server.api_port, trigger()))
                self.assertEqual(response.status, 200)

    def test_never_reads(self) -> None:
        """Bounded: who sends requests and reads no answer is not read any more, and harms nobody."""
        with Server() as server, socket.create_connection(("127.0.0.1", server.api_port), 1) as client:
            sent, requests = 0, query() * 100
            with self.assertRaises(TimeoutError):
                while sent < 500 * 1024 * 1024:
                    sent += client.send(requests)
            (response,) = read_responses(exchange(server.api_port, trigger()))
            self.assertEqual(response.status, 200)
