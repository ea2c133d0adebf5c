"""One port for WebSockets and REST alike: the first line of a connection says which of them it is."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.domain.limits import Limits


class _Newcomer(Protocol, TimeoutMixin):
    """A connection that has not said yet what it is. Once it has, all its events go to the protocol it chose."""

    transport: ITCPTransport

    def __init__(self, port: SharedPort, address: IAddress | None) -> None:
        self._port = port
        self._address = address
        self._received = b""
        self.callLater = port.clock.callLater  # type: ignore[assignment]

    def connectionMade(self) -> None:
        """Wait for the first line, but not for ever."""
        self.setTimeout(self._port.limits.handshake_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Collect the first line."""
        self._received += data
        line, newline, _ = self._received.partition(b"\n")
        if newline or len(line) > self._port.limits.header_bytes:
            self._become(self._port.websockets if _names_an_app(line) else self._port.rest)

    def timeoutConnection(self) -> None:
        """Give up on a connection that says nothing."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget a connection that left before it said anything."""
        self.setTimeout(None)

    def _become(self, factory: IProtocolFactory) -> None:
        self.setTimeout(None)
        protocol = factory.buildProtocol(self._address)  # type: ignore[arg-type]
        if protocol is None:
            self.transport.abortConnection()
            return
        self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
        self.connectionLost = protocol.connectionLost  # type: ignore[method-assign, assignment]
        protocol.makeConnection(self.transport)
        received, self._received = self._received, b""
        protocol.dataReceived(received)


def _names_an_app(line: bytes) -> bool:
    """Whether a request line asks for `[/PREFIX]/app/KEY`, and not for a path of the REST API."""
    path = b"".join(line.split(b" ")[1:2]).partition(b"?")[0]
    return b"/app/" in path and not path.startswith((b"/apps/", b"/users/"))


@implementer(IProtocolFactory, IProtocolNegotiationFactory)
class SharedPort(Factory):
    """Builds either kind of connection.

    :param websockets: takes connections to `/app/KEY`.
    :param rest: takes all others.
    :ivar limits: the first line may have as many bytes as a header, and must be there as soon as a handshake; one that
        is longer is left to the REST port to refuse.
    """

    noisy = False

    def __init__(
        self, websockets: IProtocolFactory, rest: IProtocolFactory, clock: IReactorTime, limits: Limits
    ) -> None:
        self.limits = limits
        self.websockets = websockets
        self.rest = rest
        self.clock = clock

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
