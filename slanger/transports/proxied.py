"""A port behind proxies that speak the PROXY protocol: each connection of theirs begins with whom it is for.

Whether a connection has a header is decided by where it comes from, and never guessed: a proxy that is trusted must
send one, and nobody else is asked for any. So a header that somebody else sends is taken for what it pretends to be,
the beginning of a request, and refused as such.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from slanger.complaints import Complaints
from slanger.domain.limits import Limits
from slanger.proxies import Proxies, address_of
from slanger.transports.newcomer import Newcomer, Taker, undecided
from slanger.transports.proxy_header import BadHeader, read_proxy_header


class _Announced(Newcomer):
    """A connection of a trusted proxy, that has not said yet whom it is for."""

    def __init__(self, port: ProxiedPort, address: IAddress | None) -> None:
        super().__init__(port.undecided)
        self._port = port
        self._address = address

    def decide(self, received: bytes) -> Taker | None:
        """Read the header."""
        try:
            header = read_proxy_header(received)
        except BadHeader as fault:
            self._refuse(str(fault))
            return None
        if header is None:
            return None
        address = self._address
        if header.host is not None:
            address = (IPv6Address if ":" in header.host else IPv4Address)("TCP", header.host, header.port)
        return Taker(self._port.behind, address, received[header.length :])

    def late(self) -> None:
        """Give up on a proxy that sends nothing."""
        self._refuse("it sent no whole PROXY header in time")

    def _refuse(self, why: str) -> None:
        """End the connection without a word, as the protocol asks for."""
        self._port.refused(self._address, why)
        self.give_up()


@implementer(IProtocolFactory)
class ProxiedPort(Factory):
    """Builds the connections of a port.

    :param behind: makes them, once it is known whom they are for.
    :param proxies: who must send a header.
    :param complaints: told of those that do not; they are counted by `Tallies.proxy_headers_refused`.
    :ivar undecided: those whose header must be there as soon as a handshake.
    """

    noisy = False

    def __init__(
        self, behind: IProtocolFactory, proxies: Proxies, clock: IReactorTime, limits: Limits, complaints: Complaints
    ) -> None:
        self.behind = behind
        self.undecided = undecided(clock, limits.handshake_timeout)
        self._proxies = proxies
        self._complaints = complaints

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on."""
        self.undecided.seconds = limits.handshake_timeout

    def doStart(self) -> None:
        """Start what is behind."""
        super().doStart()
        self.behind.doStart()

    def doStop(self) -> None:
        """Stop what is behind."""
        self.behind.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Ask a proxy whom it speaks for, and take anybody else as who he is."""
        if self._proxies.trusts(address_of(addr)):
            return _Announced(self, addr)
        return self.behind.buildProtocol(addr)  # type: ignore[arg-type, return-value]

    def refused(self, address: IAddress | None, why: str) -> None:
        """Count a connection without a header, and say so."""
        self._complaints.tallies.proxy_headers_refused[()] += 1
        self._complaints.count("dropping a connection of a proxy", f"{address_of(address)}: {why}")
