"""One port for WebSockets and REST alike: the first line of a connection says which of them it is."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IProtocolFactory, IProtocolNegotiationFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from slanger.domain.limits import Limits
from slanger.transports.newcomer import Newcomer, Taker, undecided


class _Newcomer(Newcomer):
    """A connection that has not said yet what it is."""

    def __init__(self, port: SharedPort, address: IAddress | None) -> None:
        super().__init__(port.undecided)
        self._port = port
        self._address = address

    def decide(self, received: bytes) -> Taker | None:
        """Decide by the first line."""
        line, newline, _ = received.partition(b"\n")
        if not newline and len(line) <= self._port.limits.header_bytes:
            return None
        websocket = names_an_app(line, self._port.path_prefix)
        return Taker(self._port.websockets if websocket else self._port.rest, self._address, received)


def names_an_app(line: bytes, prefix: bytes = b"") -> bool:
    """Whether a request line asks for `[/PREFIX]/app/KEY`, and not for a path of the REST API.

    :param prefix: of the paths of the REST API, where it has one.
    """
    path = b"".join(line.split(b" ")[1:2]).partition(b"?")[0]
    return b"/app/" in path and not path.removeprefix(prefix).startswith((b"/apps/", b"/users/"))


@implementer(IProtocolFactory, IProtocolNegotiationFactory)
class SharedPort(Factory):
    """Builds either kind of connection.

    :param websockets: takes connections to `/app/KEY`.
    :param rest: takes all others.
    :param path_prefix: see `names_an_app`.
    :ivar limits: the first line may have as many bytes as a header, and must be there as soon as a handshake; one that
        is longer is left to the REST port to refuse.
    """

    noisy = False

    def __init__(
        self,
        websockets: IProtocolFactory,
        rest: IProtocolFactory,
        clock: IReactorTime,
        limits: Limits,
        path_prefix: str = "",
    ) -> None:
        self.undecided = undecided(clock, limits.handshake_timeout)
        self.apply(limits)
        self.websockets = websockets
        self.rest = rest
        self.path_prefix = path_prefix.encode()

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on."""
        self.limits = limits
        self.undecided.seconds = limits.handshake_timeout

    def doStart(self) -> None:
        """Start both."""
        super().doStart()
        self.websockets.doStart()
        self.rest.doStart()

    def doStop(self) -> None:
        """Stop both."""
        self.websockets.doStop()
        self.rest.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Take a connection that has not said yet what it is."""
        return _Newcomer(self, addr)

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 over TLS, as both kinds of connection begin with it."""
        return [b"http/1.1"]
