"""Real nginx before real nodes."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

from tests.process.running import Foreground, ProcessTestCase
from tests.proxies.case import ELSEWHERE, ProxiedTestCase
from tests.proxies.running import Nginx, adapted, from_address
from tests.sdk.test_tls import authority
from tests.server import KEY, PATIENCE, wait_for

PLACES = {
    "/etc/letsencrypt/live/rt.example/fullchain.pem": "certificate.pem",
    "/etc/letsencrypt/live/rt.example/privkey.pem": "key.pem",
}


def site(addresses: dict[str, str]) -> str:
    """Give the site of the documentation, before these nodes."""
    files = {old: str(authority() / new) for old, new in PLACES.items()}
    ports = {"listen 443 ssl": "listen 127.0.0.1:PORT ssl", "    listen 80;\n": "    listen unix:http;\n"}
    return adapted("nginx.conf", {**addresses, **files, **ports, "rt.example": "localhost"})


class NginxTests(ProxiedTestCase):
    """TLS ends at nginx."""

    def make_proxy(self) -> Nginx:
        """Serve the site of the documentation."""
        return Nginx(site(self.addresses()))

    def test_clients(self) -> None:
        """nginx: clients and SDKs on two nodes, over TLS."""
        self.check_clients()

    def test_address(self) -> None:
        """nginx: X-Forwarded-For is believed as far as nginx wrote it."""
        self.check_address(**{"X-Forwarded-For": "203.0.113.9"})

    def test_reload(self) -> None:
        """nginx: a reload disturbs nobody."""
        self.check_reload()

    def test_node_down(self) -> None:
        """nginx: a node dies."""
        self.check_node_down()

    def test_nobody_elses_business(self) -> None:
        """nginx: what is for operators is not for the public."""
        for path in ("/health", "/ready", "/metrics", "/"):
            connection = http.client.HTTPSConnection(
                "localhost",
                self.proxy.port,
                context=ssl.create_default_context(cafile=str(authority() / "authority.pem")),
                timeout=PATIENCE,
            )
            connection.request("GET", path)
            self.assertEqual(connection.getresponse().status, 404, path)
            connection.close()

    def test_keep_alive(self) -> None:
        """nginx: requests to the API share connections to the nodes."""
        sdk = self.sdk()
        sdk.trigger(["news"], "price", {})
        for node in self.nodes:
            self.assertNotIn("refused", node.log)
        for _ in range(10):
            sdk.trigger(["news"], "price", {})
        ports = {f":{node.api_port:04X}" for node in self.nodes}
        rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        established = [row for row in rows if row[3] == "01" and row[2][8:] in ports]
        self.assertTrue(1 <= len(established) <= 4, established)


class PrefixTests(ProxiedTestCase):
    """nginx, below a prefix that it leaves on the path."""

    prefix = "/realtime"
    options = (*ProxiedTestCase.options, "--path-prefix=/realtime")
    strips = False

    def make_proxy(self) -> Nginx:
        """Add the locations of the prefix to the site."""
        locations = adapted("nginx-prefix.conf", {})
        if self.strips:
            locations = locations.replace(
                "        proxy_pass http://slanger_api;",
                "        rewrite ^/realtime(/.*)$ $1 break; proxy_pass http://slanger_api;",
            ).replace(
                "    proxy_pass http://slanger_api;",
                "    rewrite ^/realtime(/.*)$ $1 break; proxy_pass http://slanger_api;",
            )
        return Nginx(site(self.addresses()).replace("    location /app/ {", f"{locations}\n    location /app/ {{"))

    def test_prefix(self) -> None:
        """Path prefix: pusher-js and an SDK behind it; the SDK signs the path without it, as it knows no other."""
        client = self.through()
        client.subscribe("news")
        sdk = self.sdk()
        send = sdk.pusher._pusher_client.http.send_request

        def prefixed(request: object) -> object:
            vars(request)["path"] = self.prefix + vars(request)["path"]
            return send(request)

        sdk.pusher._pusher_client.http.send_request = prefixed
        sdk.trigger(["news"], "price", {"eur": 1})
        self.assertEqual(client.expect("price", "news").data, {"eur": 1})


class StrippedPrefixTests(PrefixTests):
    """nginx, below a prefix that it takes off the paths of the API."""

    strips = True


class UnixSocketTests(ProcessTestCase):
    """A node behind nginx on the same machine, over Unix sockets."""

    def test_unix(self) -> None:
        """Unix sockets: nginx is trusted as `unix`; WebSockets and API work, and clients have their own addresses."""
        sockets = self.folder / "ws.sock", self.folder / "api.sock"
        nodes = {f"10.0.0.1{number}:8080": f"unix:{sockets[0]}" for number in (1, 2)}
        apis = {f"10.0.0.1{number}:4567": f"unix:{sockets[1]}" for number in (1, 2)}
        with (
            Foreground(
                f"--websocket-host=unix:{sockets[0]}",
                f"--api-host=unix:{sockets[1]}",
                "--trusted-proxies=unix",
                "--verbose",
            ) as node,
            Nginx(site({**nodes, **apis})) as proxy,
        ):
            tls = ssl.create_default_context(cafile=str(authority() / "authority.pem"))
            client = self.connect(proxy.port, host="localhost", tls=tls)
            self.assert_serves(client, "127.0.0.1", proxy.port, tls=ssl._create_unverified_context())
            with from_address(ELSEWHERE, proxy.port, tls) as other:
                other.sendall(
                    f"GET /app/{KEY} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
                )
                wait_for("the client's address", lambda: f"{ELSEWHERE} via " in node.out)
