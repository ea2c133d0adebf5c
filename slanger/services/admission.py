"""Who may come in, and how much may be asked: quotas and budgets, in one room.

What is full is told in-band, by a close code: 4004 has clients stay away, as their app has had its share; 4100 has them
come back after a second or more, when there may be room. An origin that is not allowed is told 4009.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address

from twisted.internet.interfaces import IReactorTime

from slanger.domain.apps import App
from slanger.domain.limits import Limits
from slanger.domain.origins import is_allowed
from slanger.domain.rates import Bucket
from slanger.interfaces import IWire
from slanger.protocol.errors import CONNECTION_UNAUTHORIZED, OVER_CAPACITY, OVER_QUOTA, ConnectionRefused, TooMany
from slanger.protocol.names import UNLIMITED

SITE_BITS = 64
"""Bits of an IPv6 address that tell one site from another (RFC 4291, 2.5.4): a site may use all addresses in them."""

SHOWN = 100
"""Characters of an origin that are repeated."""


class Admission:
    """Counts who is in, and tells who may come.

    :ivar limits: of this node.
    :param strained: tells whether the node has too little memory left for more.
    """

    def __init__(self, limits: Limits, clock: IReactorTime, strained: Callable[[], bool] = lambda: False) -> None:
        self.limits = limits
        self._clock = clock
        self._strained = strained
        self._by_app: Counter[str] = Counter()
        self._by_site: Counter[str] = Counter()
        self._total = 0
        self._connects = Bucket()
        self._requests: dict[str, Bucket] = {}

    def apply(self, limits: Limits, present: Iterable[str]) -> None:
        """Go by other limits from now on; nobody who is in is sent away.

        :param present: the address of each client that is in.
        """
        self.limits = limits
        self._by_site.clear()
        if limits.address_connections < UNLIMITED:
            self._by_site.update(filter(None, map(site_of, present)))

    def let_in(self, app: App, wire: IWire, origin: str | None) -> None:
        """Count a client in.

        :param wire: tells its address; one that is no IP address has no quota.
        :param origin: of the web page it comes from, None where it does not say.
        :raises ConnectionRefused: there is no room for it, or it comes from the wrong place.
        """
        limits, key = self.limits, app.key
        if app.origins:
            _check_origin(app, origin)
        if self._strained():
            raise ConnectionRefused(OVER_CAPACITY, "Over capacity: too little memory", "memory_bytes", app.label)
        if self._total >= limits.node_connections:
            raise ConnectionRefused(OVER_CAPACITY, "Over capacity: too many connections", "node_connections", app.label)
        of_app = self._by_app.get(key, 0)
        if of_app >= app.connections:
            text = f"App has as many connections as it may have ({app.connections})"
            raise ConnectionRefused(OVER_QUOTA, text, "connections", app.label)
        site = site_of(wire.address) if limits.address_connections < UNLIMITED else ""
        if site and self._by_site[site] >= limits.address_connections:
            text = "Over capacity: too many connections from your address"
            raise ConnectionRefused(OVER_CAPACITY, text, "address_connections", app.label)
        per_second = limits.connects_per_second
        if per_second < UNLIMITED and not self._connects.take(per_second, self._clock.seconds()):
            text = "Over capacity: too many connect at once; come back soon"
            raise ConnectionRefused(OVER_CAPACITY, text, "connects_per_second", app.label)
        self._total += 1
        self._by_app[key] = of_app + 1
        if site:
            self._by_site[site] += 1

    def let_go(self, app: App, wire: IWire) -> None:
        """Count a client out."""
        self._total -= 1
        _count_out(self._by_app, app.key)
        if self._by_site:
            _count_out(self._by_site, site_of(wire.address))

    def take_request(self, app: App) -> None:
        """Count a REST request.

        :raises TooMany: the app has asked as often as it may in this second.
        """
        if app.requests_per_second >= UNLIMITED:
            return
        bucket = self._requests.setdefault(app.key, Bucket())
        if not bucket.take(app.requests_per_second, self._clock.seconds()):
            raise TooMany(f"Too many requests: this app may send {app.requests_per_second} per second")


def site_of(address: str) -> str:
    """Name what connections of one address are counted by: itself, or the /64 it is in; nothing where it is none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - SITE_BITS):x}"


def _check_origin(app: App, origin: str | None) -> None:
    if origin is None:
        if app.require_origin:
            text = "Origin missing: this app is for web pages of certain origins alone"
            raise ConnectionRefused(CONNECTION_UNAUTHORIZED, text, "origin", app.label)
    elif not is_allowed(origin, app.origins):
        text = f"Origin {origin[:SHOWN]} not allowed by this app"
        raise ConnectionRefused(CONNECTION_UNAUTHORIZED, text, "origin", app.label)


def _count_out(counts: Counter[str], what: str) -> None:
    if counts[what] > 1:
        counts[what] -= 1
    else:
        counts.pop(what, None)
