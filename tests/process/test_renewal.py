"""Certificates that are renewed while real clients come and go."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import trustme
from cryptography.x509 import load_pem_x509_certificate

from tests.process.running import ProcessTestCase, ask, read
from tests.server import KEY, PATIENCE, Server, wait_for

HOST = "localhost"
REQUEST = (
    f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


class RenewalTestCase(ProcessTestCase):
    """A server whose certificate and key are two files, behind a link as certbot keeps them."""

    def setUp(self) -> None:
        """Have an authority that all clients trust."""
        super().setUp()
        self.authority = trustme.CA()
        self.context = ssl.create_default_context()
        self.authority.configure_trust(self.context)
        self.live = self.folder / "live"
        self.live.symlink_to(self.issue())
        self.options = (f"--tls-cert={self.live}/fullchain.pem", f"--tls-key={self.live}/privkey.pem")

    def issue(self) -> Path:
        """Issue a certificate into a folder of its own."""
        issued = self.authority.create_child_ca().issue_cert(HOST)
        folder = self.folder / str(load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number)
        folder.mkdir()
        issued.private_key_pem.write_to_path(str(folder / "privkey.pem"))
        for pem in issued.cert_chain_pems:
            pem.write_to_path(str(folder / "fullchain.pem"), append=True)
        return folder

    def turn_link(self, folder: Path) -> None:
        """Renew as certbot does: let the link lead to another folder."""
        new = self.folder / "new"
        new.symlink_to(folder)
        new.rename(self.live)

    def serial(self, port: int) -> int:
        """Connect, up to `connection_established`, and give the number of the certificate that was shown."""
        with (
            socket.create_connection((HOST, port), PATIENCE) as plain,
            self.context.wrap_socket(plain, server_hostname=HOST) as client,
        ):
            client.sendall(REQUEST)
            received = b""
            while b"connection_established" not in received:
                more = client.recv(4096)
                if not more:
                    raise AssertionError(f"the server has hung up after {received!r}")
                received += more
            shown = client.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)

    def wait_until_shown(self, port: int, folder: Path) -> None:
        """Wait until new clients are shown the certificate of a folder."""
        wait_for("the new certificate", lambda: str(self.serial(port)) == folder.name, interval=0.05)

    @contextmanager
    def load(self, port: int) -> Iterator[list[int]]:
        """Have clients connect all the time; give which certificates they were shown. None of them may fail."""
        shown: list[int] = []
        over = threading.Event()

        def keep_connecting() -> None:
            while not over.is_set():
                shown.append(self.serial(port))

        with ThreadPoolExecutor(2) as pool:
            working = [pool.submit(keep_connecting) for _ in range(2)]
            try:
                yield shown
            finally:
                over.set()
            for each in working:
                each.result()


class RenewalTests(RenewalTestCase):
    """TLS: certificates that are renewed under load."""

    def test_ten_renewals(self) -> None:
        """TLS: in ten renewals by SIGHUP no handshake fails, each new one is shown, and old connections go on."""
        with Server(*self.options, "--tls-watch-seconds=3600") as server:
            api = ("127.0.0.1", server.api_port)
            before = [self.connect(server.websocket_port, HOST, tls=self.context) for _ in range(5)]
            for client in before:
                self.subscribe(client)
            issued = [self.live.readlink()]
            with self.load(server.websocket_port) as shown:
                for number in range(10):
                    issued.append(self.issue())
                    self.turn_link(issued[-1])
                    server.hang_up()
                    self.wait_until_shown(server.websocket_port, issued[-1])
                    wait_for("others who see it", lambda: int(issued[-1].name) in shown)
                    body = json.dumps({"name": "price", "channel": "news", "data": str(number)}).encode()
                    self.assertEqual(ask("POST", "/apps/3/events", body, *api, tls=self.trusting_any())[0], 200)
            self.assertEqual([str(each) for each in dict.fromkeys(shown)], [each.name for each in issued])
            for client in before:
                self.assertEqual([read(client)["data"] for _ in range(10)], [str(number) for number in range(10)])
            self.assertNotIn("Traceback", server.log)
            self.assertEqual(server.log.count("valid until"), 11)

    def test_by_itself(self) -> None:
        """TLS: what certbot renews is shown by itself; so is what is copied over the files, one after the other."""
        with Server(*self.options, "--tls-watch-seconds=1") as server, self.load(server.websocket_port):
            new = self.issue()
            self.turn_link(new)
            self.wait_until_shown(server.websocket_port, new)
            other = self.issue()
            shutil.copy(other / "fullchain.pem", self.live / "fullchain.pem")
            wait_for("what is said of half a pair", lambda: "does not belong to the certificate" in server.log)
            self.assertEqual(str(self.serial(server.websocket_port)), new.name)
            shutil.copy(other / "privkey.pem", self.live / "privkey.pem")
            self.wait_until_shown(server.websocket_port, other)
            self.assertEqual(server.log.count("does not belong to the certificate"), 1)
            self.assertNotIn("Traceback", server.log)

    def test_broken(self) -> None:
        """TLS: with a certificate that cannot be used SIGHUP changes nothing, and the log says why."""
        with Server(*self.options) as server:
            first = self.live.readlink()
            broken = self.issue()
            (broken / "fullchain.pem").write_text("hello")
            self.turn_link(broken)
            self.assertIn("no certificate that can be read", server.hang_up("the settings stay as they were"))
            self.assertEqual(str(self.serial(server.websocket_port)), first.name)

    def test_one_port(self) -> None:
        """TLS: on a port that is shared with the REST API a new certificate is shown too."""
        with Server(*self.options, "--tls-watch-seconds=3600", one_port=True) as server:
            new = self.issue()
            self.turn_link(new)
            server.hang_up()
            self.assertEqual(str(self.serial(server.websocket_port)), new.name)

    def trusting_any(self) -> ssl.SSLContext:
        """Make what the API's client needs, who knows the server by its address."""
        context = ssl.create_default_context()
        context.check_hostname = False
        self.authority.configure_trust(context)
        return context
