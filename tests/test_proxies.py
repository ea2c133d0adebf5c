"""Whom to believe about the addresses of clients."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from slanger.proxies import ADDRESSES, NOBODY, UNIX, Proxies, address_of
from slanger.settings import read_settings
from tests.test_settings import REQUIRED, Given, SettingsTestCase

OURS = Proxies((ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("fd00::/8")), unix=True)


class ClientTests(SynchronousTestCase):
    """Who the client is."""

    def assert_client(self, expected: str, address: str, forwarded: str | None, proxies: Proxies = OURS) -> None:
        """Check whom a connection is taken to be of."""
        self.assertEqual(proxies.client(address, forwarded), expected)

    def test_direct(self) -> None:
        """X-Forwarded-For: without it, the client is whoever connects, be it a proxy of ours."""
        for address in ("203.0.113.9", "10.0.0.1", UNIX):
            for nothing in (None, ""):
                self.assert_client(address, address, nothing)

    def test_untrusted(self) -> None:
        """X-Forwarded-For: what somebody says who is not trusted is not believed."""
        self.assert_client("203.0.113.9", "203.0.113.9", "198.51.100.1")
        self.assert_client("203.0.113.9", "203.0.113.9", "10.0.0.1, 10.0.0.2")
        self.assert_client("10.0.0.1", "10.0.0.1", "198.51.100.1", NOBODY)
        self.assert_client(UNIX, UNIX, "198.51.100.1", Proxies((ip_network("0.0.0.0/0"),)))

    def test_trusted(self) -> None:
        """X-Forwarded-For: what a proxy of ours says is believed, whichever way it comes."""
        for address in ("10.0.0.1", "127.0.0.1", "fd00::1", UNIX):
            self.assert_client("198.51.100.1", address, "198.51.100.1")
            self.assert_client("2001:db8::1", address, "2001:DB8:0::1")

    def test_several_hops(self) -> None:
        """X-Forwarded-For: it is read from the right over our proxies; what the client wrote before that is not."""
        self.assert_client("198.51.100.1", "10.0.0.1", "198.51.100.1, 10.2.2.2,10.3.3.3 ,127.0.0.1")
        self.assert_client("198.51.100.1", "10.0.0.1", "1.2.3.4, 198.51.100.1, 10.2.2.2")
        self.assert_client("198.51.100.1", "10.0.0.1", "10.9.9.9, 198.51.100.1")

    def test_all_ours(self) -> None:
        """X-Forwarded-For: where all are proxies of ours, the client is the one furthest away."""
        self.assert_client("10.9.9.9", "10.0.0.1", "10.9.9.9, 10.2.2.2")

    def test_nonsense(self) -> None:
        """X-Forwarded-For: the client is whoever wrote what is no address."""
        self.assert_client("10.2.2.2", "10.0.0.1", "198.51.100.1, unknown, 10.2.2.2")
        for nonsense in ("unknown", "_hidden", ",", "1.2.3", "1.2.3.4.5", "[::1", "\x00", "٤.3.2.1", "unix"):
            hop = OURS.client("10.0.0.1", nonsense)
            self.assertIn(hop, ("10.0.0.1", "::1"), nonsense)

    def test_ports(self) -> None:
        """X-Forwarded-For: some proxies write ports, and brackets."""
        self.assert_client("198.51.100.1", "10.0.0.1", "198.51.100.1:50123")
        self.assert_client("2001:db8::1", "10.0.0.1", "[2001:db8::1]:50123, [fd00::2]")

    def test_mapped(self) -> None:
        """X-Forwarded-For: an IPv4 address that is written as IPv6 is the same address."""
        self.assert_client("198.51.100.1", "10.0.0.1", "::ffff:198.51.100.1, ::ffff:10.2.2.2")

    def test_many(self) -> None:
        """X-Forwarded-For: who is trusted is remembered for some addresses, and right for all."""
        for number in range(2 * ADDRESSES):
            address = f"10.1.{number // 256}.{number % 256}"
            self.assert_client("198.51.100.1", address, "198.51.100.1")
            self.assert_client(f"11{address[2:]}", f"11{address[2:]}", "198.51.100.1")


class AddressTests(SynchronousTestCase):
    """Where a connection comes from."""

    def test_addresses(self) -> None:
        """Addresses: they are written in one way, whatever socket they come over."""
        self.assertEqual(address_of(IPv4Address("TCP", "192.0.2.7", 1)), "192.0.2.7")
        self.assertEqual(address_of(IPv6Address("TCP", "2001:DB8:0::1", 1)), "2001:db8::1")
        self.assertEqual(address_of(IPv6Address("TCP", "::ffff:192.0.2.7", 1)), "192.0.2.7")
        self.assertEqual(address_of(UNIXAddress(b"/run/x")), UNIX)
        self.assertEqual(address_of(UNIXAddress(None)), UNIX)
        self.assertEqual(address_of(None), UNIX)
        self.assertEqual(address_of(HostnameAddress(b"x", 1)), UNIX)


class SettingsTests(SettingsTestCase):
    """How it is settled."""

    def test_trusted(self) -> None:
        """Trusted proxies: networks, addresses and `unix`, with commas and blanks."""
        given = self.read({"trusted-proxies": "10.0.0.0/8, 127.0.0.1,::1 , unix,"}).trusted_proxies
        self.assertEqual(given.text, "10.0.0.0/8, 127.0.0.1/32, ::1/128, unix")
        self.assertTrue(given.trusts("127.0.0.1") and given.trusts(UNIX) and not given.trusts("127.0.0.2"))
        self.assertFalse(self.read().trusted_proxies)

    def test_bad(self) -> None:
        """Trusted proxies: what is neither is a fault; so is a network with bits of a host."""
        for text in ("10.0.0.0/33", "proxy.example", "10.0.0.1/8", "10.0.0.1;10.0.0.2"):
            self.assert_fault(("--trusted-proxies", text, "expected networks"), {**REQUIRED, "trusted-proxies": text})

    def test_ports(self) -> None:
        """PROXY protocol: it is for both ports, for one of them, or for none."""
        for text, websocket, api in (
            ("none", False, False),
            ("both", True, True),
            ("websocket", True, False),
            ("api", False, True),
        ):
            settings = self.read({"trusted-proxies": "unix", "proxy-protocol": text})
            self.assertEqual((settings.proxied("websocket"), settings.proxied("api")), (websocket, api))

    def test_faults(self) -> None:
        """PROXY protocol: it needs somebody who is trusted, and a port that can read its headers."""
        self.assert_fault(("--proxy-protocol both", "--trusted-proxies"), {**REQUIRED, "proxy-protocol": "both"})
        trusting: Given = {**REQUIRED, "trusted-proxies": "unix"}
        self.assert_fault(("--proxy-protocol 'v2'", "expected one of"), {**trusting, "proxy-protocol": "v2"})
        one_port: Given = {**trusting, "proxy-protocol": "api", "api-host": ":9", "websocket-host": ":9"}
        self.assert_fault(("one port", "expected both"), one_port)
        tls: Given = {**trusting, "proxy-protocol": "both", "websocket-host": "ssl:9:privateKey=k:certKey=c"}
        self.assert_fault(("ssl:9", "--tls-cert"), tls)
        self.assertTrue(read_settings({**tls, "proxy-protocol": "api"}, {}).proxied("api"))
        self.assert_fault(("haproxy:tcp:9", "--proxy-protocol"), {**REQUIRED, "api-host": "haproxy:tcp:9"})

    def test_prefix(self) -> None:
        """Path prefix: a path of one segment or several; a slash at its end is left out."""
        for text, prefix in (("/realtime", "/realtime"), ("/a/b-c/", "/a/b-c"), ("/", "")):
            self.assertEqual(self.read({"path-prefix": text}).path_prefix, prefix)
        for text in ("realtime", "//x", "/a b", "/a?b", "/%41", "/é"):
            self.assert_fault(("--path-prefix", "expected a path"), {**REQUIRED, "path-prefix": text})
        for text in ("/apps", "/x/users", "/app"):
            self.assert_fault(("--path-prefix", "meaning"), {**REQUIRED, "path-prefix": text})

    def test_explained(self) -> None:
        """Check: it says who is trusted, where PROXY headers are expected, and the prefix."""
        given: Given = {"trusted-proxies": "127.0.0.1", "proxy-protocol": "websocket", "path-prefix": "/realtime"}
        words = self.read(given).explain().splitlines()
        self.assertIn("trusted proxies: 127.0.0.1/32", words)
        self.assertIn("WebSockets on 0.0.0.0:8080, behind PROXY headers", words)
        self.assertIn("REST API on 0.0.0.0:4567/realtime", words)
