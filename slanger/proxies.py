"""Proxies in front of a node: who the client is, and whom to believe about that.

A connection has the address it comes from. Where that is a proxy of the operator's (`--trusted-proxies`), it says whom
it speaks for: with a PROXY header (`slanger.transports.proxied`), or in each request with `X-Forwarded-For`.
`Forwarded` (RFC 7239) is not read: hardly any proxy writes it, and one that does not lets pass what the client wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from twisted.internet.interfaces import IAddress

UNIX = "unix"
"""Stands for the address of whoever comes over a Unix socket: somebody on this machine."""

HEADER = "x-forwarded-for"

ADDRESSES = 1024
"""Addresses of which it is remembered whether they are trusted."""


@dataclass(frozen=True)
class Proxies:
    """The proxies that are believed.

    :param networks: where they are.
    :param unix: whether those are believed that come over a Unix socket.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    def __bool__(self) -> bool:
        """Tell whether anybody is believed."""
        return self.unix or bool(self.networks)

    @property
    def text(self) -> str:
        """Who they are, in words."""
        return ", ".join([*map(str, self.networks), *([UNIX] if self.unix else [])])

    def trusts(self, address: str) -> bool:
        """Tell whether what this address says about its clients is believed."""
        return bool(self) and self._remembered(address)

    def client(self, address: str, forwarded: str | None) -> str:
        """Find a client's address: the nearest one that is not a proxy of ours.

        Every proxy appends whom it heard from, so the list is read from the right, as far as it was written by those
        who are trusted. What stands further left may be anybody's invention, and so may all of it where the connection
        comes from somebody else.

        :param address: where the connection comes from.
        :param forwarded: what `X-Forwarded-For` says; several such headers are joined by commas.
        """
        hops = forwarded.split(",") if forwarded else []
        while hops and self.trusts(address):
            hop = _read_hop(hops.pop())
            if hop is None:
                break
            address = hop
        return address

    @cached_property
    def _remembered(self) -> Callable[[str], bool]:
        return lru_cache(ADDRESSES)(self._look)

    def _look(self, address: str) -> bool:
        if address == UNIX:
            return self.unix
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.networks)


NOBODY = Proxies()
"""No proxy is believed."""


def address_of(peer: IAddress | None) -> str:
    """Give the IP address of a peer, or `UNIX`."""
    host: str = getattr(peer, "host", UNIX)
    return host if ":" not in host else _usual(host) or host


def _read_hop(text: str) -> str | None:
    """Read an address, with a port or without; None where it is none, such as `unknown`."""
    hop = text.strip()
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    return _usual(hop)


def _usual(text: str) -> str | None:
    """Write an address as it is usually written; an IPv4 address that is dressed up as IPv6 is undressed."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
