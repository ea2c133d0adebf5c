"""Who may come in."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.limits import Limits
from slanger.protocol.errors import (
    CONNECTION_UNAUTHORIZED,
    OVER_CAPACITY,
    OVER_QUOTA,
    Code,
    ConnectionRefused,
    TooMany,
)
from slanger.services.admission import Admission, site_of
from tests.builders import MemoryNode, Wire, make_app


class AdmissionTestCase(SynchronousTestCase):
    """A node in memory whose limits are small."""

    def begin(self, *changes: dict[str, Any], **limits: Any) -> None:
        """Start a node with an app for each set of changes."""
        self.apps = [make_app(f"key-{number}", **each) for number, each in enumerate(changes or ({},))]
        self.node = MemoryNode(*self.apps, limits=Limits(**limits))
        self.clock = self.node.clock
        self.inside: list[Any] = []

    def connect(self, address: str = "192.0.2.1", origin: str | None = None, app: int = 0) -> None:
        """Let a client in."""
        wire = Wire()
        wire.address = address
        self.inside.append(self.node.subscribers.connect(wire, f"key-{app}", "7", origin))

    def refuse(self, code: Code, reason: str, *of_client: Any, app: int = 0) -> ConnectionRefused:
        """Check that a client is refused, and counted where it is told to be."""
        refusal = self.assertRaises(ConnectionRefused, self.connect, *of_client, app=app)
        assert isinstance(refusal, ConnectionRefused)
        self.assertEqual((refusal.code, refusal.reason, refusal.app), (code, reason, f"key-{app}"))
        self.node.subscribers.turned_away(Wire(), refusal)
        self.assertEqual(self.node.tallies.connections_refused.pop((f"key-{app}", reason)), 1)
        return refusal

    def leave(self) -> None:
        """Have the client that came first go."""
        self.inside.pop(0).gone(1000)


class QuotaTests(AdmissionTestCase):
    """How many there may be at the same time."""

    def test_app(self) -> None:
        """Connections of an app: over its quota 4004; when one goes another may come; other apps do not matter."""
        self.begin({"connections": 2}, {})
        for _ in range(2):
            self.connect()
        for _ in range(3):
            self.refuse(OVER_QUOTA, "connections")
        for _ in range(5):
            self.connect(app=1)
        self.leave()
        self.connect()
        self.refuse(OVER_QUOTA, "connections")

    def test_node(self) -> None:
        """Connections of a node: over the limit 4100, whatever the app."""
        self.begin({}, {}, node_connections=3)
        for app in (0, 1, 1):
            self.connect(app=app)
        self.refuse(OVER_CAPACITY, "node_connections")
        self.refuse(OVER_CAPACITY, "node_connections", app=1)
        self.leave()
        self.connect(app=1)
        self.refuse(OVER_CAPACITY, "node_connections")

    def test_address(self) -> None:
        """Connections of an address: over the limit 4100; others are let in; one that has no address has no limit."""
        self.begin(address_connections=2)
        for _ in range(2):
            self.connect("192.0.2.1")
        self.refuse(OVER_CAPACITY, "address_connections", "192.0.2.1")
        self.connect("192.0.2.2")
        for _ in range(5):
            self.connect("unix")
        self.leave()
        self.connect("192.0.2.1")
        self.refuse(OVER_CAPACITY, "address_connections", "192.0.2.1")

    def test_ipv6(self) -> None:
        """Connections of an address: IPv6 is counted by /64, as a site may use any address in it."""
        self.begin(address_connections=2)
        self.connect("2001:db8::1")
        self.connect("2001:db8::ffff:1:2:3")
        self.refuse(OVER_CAPACITY, "address_connections", "2001:db8:0:0:9::")
        self.connect("2001:db8:0:1::1")

    def test_sites(self) -> None:
        """Connections of an address: IPv4 written as IPv6 is IPv4; a zone does not matter; a name is no address."""
        self.assertEqual(site_of("::ffff:192.0.2.1"), site_of("192.0.2.1"))
        self.assertEqual(site_of("fe80::1%eth0"), site_of("fe80::2"))
        self.assertEqual((site_of("unix"), site_of("")), ("", ""))

    def test_refused_is_not_counted(self) -> None:
        """Quotas: who was refused takes nobody's place."""
        self.begin({"connections": 1, "origins": ("https://a.example",)}, node_connections=1, address_connections=1)
        for _ in range(3):
            self.refuse(CONNECTION_UNAUTHORIZED, "origin", "192.0.2.1", "https://b.example")
        self.connect()

    def test_nothing_left(self) -> None:
        """Bounded: when all have gone, nothing is kept of them."""
        self.begin({}, {}, address_connections=100)
        for number in range(20):
            self.connect(f"192.0.2.{number}", app=number % 2)
        while self.inside:
            self.leave()
        admission = self.node.admission
        self.assertEqual((admission._by_app, admission._by_site, admission._total), ({}, {}, 0))

    def test_changed(self) -> None:
        """Reload: other limits hold from then on; who is in stays, and counts."""
        self.begin()
        for _ in range(3):
            self.connect()
        self.node.subscribers.apply(Limits(address_connections=2))
        self.refuse(OVER_CAPACITY, "address_connections", "192.0.2.1")
        self.connect("192.0.2.9")
        self.leave()
        self.refuse(OVER_CAPACITY, "address_connections", "192.0.2.1")
        self.leave()
        self.connect()
        self.node.subscribers.apply(Limits())
        self.connect()


class BudgetTests(AdmissionTestCase):
    """How many may come in a second."""

    def test_connects(self) -> None:
        """Connect budget: what is too much in a second is told 4100, to come back after one; then there is room."""
        self.begin(connects_per_second=5)
        for _ in range(5):
            self.connect()
        for _ in range(10):
            self.refuse(OVER_CAPACITY, "connects_per_second")
        self.clock.advance(0.4)
        self.connect()
        self.connect()
        self.refuse(OVER_CAPACITY, "connects_per_second")
        self.clock.advance(60)
        for _ in range(5):
            self.connect()
        self.refuse(OVER_CAPACITY, "connects_per_second")

    def test_storm(self) -> None:
        """Connect budget: a thousand that come at once, and back each second, are all in after as long as it takes."""
        self.begin(connects_per_second=100)
        waiting, seconds = 1000, 0
        while waiting:
            still = 0
            for _ in range(waiting):
                try:
                    self.connect()
                except ConnectionRefused as refusal:
                    self.assertEqual(refusal.code, OVER_CAPACITY)
                    still += 1
            waiting = still
            self.clock.advance(1)
            seconds += 1
        self.assertEqual((seconds, len(self.inside)), (10, 1000))

    def test_others_do_not_pay(self) -> None:
        """Connect budget: those who are refused for another reason use nothing of it."""
        self.begin({"connections": 1}, {}, connects_per_second=2)
        self.connect()
        for _ in range(5):
            self.refuse(OVER_QUOTA, "connections")
        self.connect(app=1)

    def test_requests(self) -> None:
        """Requests of an app: over its rate they are refused, those of another app are not."""
        self.begin({"requests_per_second": 2}, {})
        one, other = self.apps
        take = self.node.admission.take_request
        for _ in range(2):
            take(one)
        text = str(self.assertRaises(TooMany, take, one))
        self.assertIn("2 per second", text)
        for _ in range(100):
            take(other)
        self.clock.advance(0.5)
        take(one)
        self.assertRaises(TooMany, take, one)


class OriginTests(AdmissionTestCase):
    """Of which web pages clients may come."""

    def test_any(self) -> None:
        """Origins: by default any page may connect, and who names none."""
        self.begin()
        for origin in (None, "https://a.example", "null"):
            self.connect("192.0.2.1", origin)

    def test_listed(self) -> None:
        """Origins: with a list, pages of other origins are refused with 4009; who names none may come."""
        self.begin({"origins": ("https://a.example", "https://*.b.example")}, {})
        for origin in ("https://a.example", "https://x.b.example", None):
            self.connect("192.0.2.1", origin)
        for origin in ("https://evil.example", "null", "http://a.example", ""):
            refusal = self.refuse(CONNECTION_UNAUTHORIZED, "origin", "192.0.2.1", origin)
            self.assertIn("not allowed", refusal.message)
        self.connect("192.0.2.1", "https://evil.example", app=1)

    def test_required(self) -> None:
        """Origins: an app for browsers alone may ask for one."""
        self.begin({"origins": ("https://a.example",), "require_origin": True})
        self.refuse(CONNECTION_UNAUTHORIZED, "origin", "192.0.2.1", None)
        self.connect("192.0.2.1", "https://a.example")

    def test_length(self) -> None:
        """Bounded: an origin without end is not repeated without end."""
        self.begin({"origins": ("https://a.example",)})
        refusal = self.refuse(CONNECTION_UNAUTHORIZED, "origin", "192.0.2.1", "https://" + "x" * 10_000)
        self.assertLess(len(refusal.message), 200)


class StrainedTests(AdmissionTestCase):
    """Too little memory."""

    def test_strained(self) -> None:
        """Memory guard: while there is too little nobody more is let in; they are told to come back."""
        self.begin()
        strained = [True]
        admission = Admission(Limits(), self.clock, lambda: strained[0])
        refusal = self.assertRaises(ConnectionRefused, admission.let_in, self.apps[0], Wire(), None)
        assert isinstance(refusal, ConnectionRefused)
        self.assertEqual((refusal.code, refusal.reason), (OVER_CAPACITY, "memory_bytes"))
        strained[0] = False
        admission.let_in(self.apps[0], Wire(), None)
