"""Ports."""

from __future__ import annotations

import socket

from twisted.internet import endpoints
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Port
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slanger.domain.limits import Limits
from slanger.faults import StartupFault
from slanger.services.listening import TCP_NOTSENT_LOWAT, Listening

UNSENT = Limits(unsent_bytes=65536)


@implementer(IStreamServerEndpoint, IListeningPort)
class Endpoint:
    """A place to listen, and the port there."""

    def __init__(self) -> None:
        self.listening: list[IProtocolFactory] = []
        self.stopped = False

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Keep who listens."""
        self.listening.append(protocolFactory)
        return succeed(self)

    def startListening(self) -> None:
        """Begin; a port does so by itself."""

    def stopListening(self) -> Deferred[None]:
        """Keep that it stopped."""
        self.stopped = True
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Say where."""
        return IPv4Address("TCP", "127.0.0.1", 8080)


class ListeningTest(SynchronousTestCase):
    """A port as a service."""

    def test_taken(self) -> None:
        """A port that is taken stops the start with one sentence: who cannot listen where, and why."""
        from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            endpoint = endpoints.TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
            where = f"127.0.0.1:{port}"
            listening = Listening(endpoint, Factory.forProtocol(Protocol), "REST API", where, UNSENT)
            with capturedLogs() as logs:
                fault = self.assertRaises(StartupFault, listening.privilegedStartService)
        self.assertEqual(str(fault), f"cannot listen on {where}: Address already in use")
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.critical])

    def test_listens(self) -> None:
        """A port that is had is told of, held while the service runs, and let go of."""
        endpoint, factory = Endpoint(), Factory.forProtocol(Protocol)
        listening = Listening(endpoint, factory, "WebSocket server", "127.0.0.1:8080", UNSENT)
        with capturedLogs() as logs:
            listening.privilegedStartService()
            listening.startService()
        self.assertEqual((endpoint.listening, endpoint.stopped), ([factory], False))
        self.assertEqual(
            [event["log_format"].format(**event) for event in logs], ["WebSocket server listening on 127.0.0.1:8080"]
        )
        self.assertEqual(listening.name, "WebSocket server")
        stopping = listening.stopService()
        assert stopping is not None
        self.successResultOf(stopping)
        self.assertTrue(endpoint.stopped)
        self.assertIsNone(listening.stopService())

    def test_handed_down(self) -> None:
        """Connections have it from the port that what is sent leaves at once, and that the kernel takes no more."""
        reactor = EPollReactor()
        self.addCleanup(reactor._poller.close)
        endpoint = endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        listening = Listening(endpoint, Factory.forProtocol(Protocol), "REST API", ":0", UNSENT)
        listening.privilegedStartService()
        (port,) = (each for each in reactor.removeAll() if isinstance(each, Port))
        self.addCleanup(port.connectionLost, connectionDone)
        with socket.create_connection(port.socket.getsockname()), port.socket.accept()[0] as accepted:
            self.assertTrue(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            if TCP_NOTSENT_LOWAT is not None:
                self.assertEqual(accepted.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT), UNSENT.unsent_bytes)

    def test_stop_without_a_port(self) -> None:
        """A service that never listened stops without a fault."""
        self.assertIsNone(Listening(Endpoint(), Factory(), "REST API", ":8080", UNSENT).stopService())
