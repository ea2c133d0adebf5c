"""Real HAProxy before real nodes."""

from __future__ import annotations

import signal

from tests.cluster.nodes import Node
from tests.proxies.case import READY, ProxiedTestCase
from tests.proxies.running import Haproxy, adapted
from tests.sdk.test_tls import authority
from tests.server import wait_for


class HaproxyTests(ProxiedTestCase):
    """TLS ends at HAProxy."""

    reloading = signal.SIGUSR2

    def make_proxy(self) -> Haproxy:
        """Serve as the documentation says."""
        pem = authority() / "both.pem"
        pem.write_bytes((authority() / "certificate.pem").read_bytes() + (authority() / "key.pem").read_bytes())
        addresses = self.addresses()
        first, second = (addresses[f"10.0.0.1{number}:4567"].rpartition(":")[2] for number in (1, 2))
        changes = {
            "    bind :80\n": "",
            "bind :443": "bind 127.0.0.1:PORT",
            "/etc/haproxy/certs/rt.example.pem": str(pem),
            "fall 2 rise 1 port 4567": "fall 2 rise 1",
            "10.0.0.11:8080": f"{addresses['10.0.0.11:8080']} port {first}",
            "10.0.0.12:8080": f"{addresses['10.0.0.12:8080']} port {second}",
            "10.0.0.11:4567": addresses["10.0.0.11:4567"],
            "10.0.0.12:4567": addresses["10.0.0.12:4567"],
            "maxconn 100000": "maxconn 100",
            "/ready": READY,
        }
        return Haproxy(adapted("haproxy.cfg", changes))

    def test_clients(self) -> None:
        """HAProxy: clients and SDKs on two nodes, over TLS."""
        self.check_clients()

    def test_address(self) -> None:
        """HAProxy: X-Forwarded-For is believed as far as HAProxy wrote it; it writes a header of its own."""
        self.check_address(**{"X-Forwarded-For": "203.0.113.9"})

    def test_reload(self) -> None:
        """HAProxy: a reload disturbs nobody."""
        self.check_reload()

    def test_node_down(self) -> None:
        """HAProxy: a node dies."""
        self.check_node_down()


class PassingOnTestCase(ProxiedTestCase):
    """TLS ends at the nodes, which are told of the client in PROXY headers.

    :cvar sent: which headers, in HAProxy's words.
    """

    reloading = signal.SIGUSR2
    options = ("--trusted-proxies=127.0.0.1", "--proxy-protocol=both")
    sent: str

    def make_node(self) -> Node:
        """Make a node that speaks TLS on one port."""
        pem = authority()
        files = (f"--tls-cert={pem / 'certificate.pem'}", f"--tls-key={pem / 'key.pem'}")
        return Node(self.redis.url, "--verbose", *files, *self.options, one_port=True)

    def make_proxy(self) -> Haproxy:
        """Pass bytes on as the documentation says."""
        changes = {
            "bind :443": "bind 127.0.0.1:PORT",
            "10.0.0.11:443": f"127.0.0.1:{self.nodes[0].websocket_port}",
            "10.0.0.12:443": f"127.0.0.1:{self.nodes[1].websocket_port}",
            "send-proxy-v2 ": f"{self.sent} ",
            "maxconn 100000": "maxconn 100",
            "/ready": READY,
        }
        return Haproxy(adapted("haproxy-tcp.cfg", changes))

    def check_header(self) -> None:
        """The header says where the client is, and HAProxy's health checks speak for HAProxy itself."""
        self.check_address(**{"X-Forwarded-For": "203.0.113.9"})
        self.assertNotIn("DOWN", self.proxy.out)
        self.assertNotIn("dropping a connection", self.logs())


class ProxyProtocolTests(PassingOnTestCase):
    """PROXY headers of version 2."""

    sent = "send-proxy-v2"

    def test_clients(self) -> None:
        """PROXY protocol: clients and SDKs on two nodes, over TLS from end to end."""
        self.check_clients()

    def test_address(self) -> None:
        """PROXY protocol: the header is believed; an X-Forwarded-For of the client's is not."""
        self.check_header()

    def test_node_down(self) -> None:
        """PROXY protocol: a node dies."""
        self.check_node_down()


class FirstProxyProtocolTests(PassingOnTestCase):
    """PROXY headers of version 1."""

    sent = "send-proxy"

    def test_address(self) -> None:
        """PROXY protocol: the header of version 1 is believed, too."""
        self.check_header()


class UntrustedTests(ProxiedTestCase):
    """A node that trusts another proxy than the one it is behind."""

    options = ("--trusted-proxies=192.0.2.1",)
    make_proxy = HaproxyTests.make_proxy

    def test_address(self) -> None:
        """X-Forwarded-For: without trust the client is the proxy, whatever the headers say."""
        self.from_elsewhere(**{"X-Forwarded-For": "203.0.113.9"})
        wait_for("a client", lambda: "connection_established" in self.logs())
        self.assertNotIn("via", self.logs())
