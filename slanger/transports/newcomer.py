"""A connection whose first bytes say who takes it."""

from __future__ import annotations

from typing import NamedTuple

from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from slanger.deadlines import Deadlines


class Taker(NamedTuple):
    """Who takes a connection.

    :param factory: makes its protocol.
    :param address: the client's.
    :param rest: the bytes that are for that protocol.
    """

    factory: IProtocolFactory
    address: IAddress | None
    rest: bytes


class Newcomer(Protocol):
    """A connection of which it is not clear who takes it. Once it is, all its events go there.

    :param undecided: those of its port; until when it must be clear.
    """

    transport: ITCPTransport

    def __init__(self, undecided: Undecided) -> None:
        self._received = b""
        self._undecided = undecided

    def decide(self, received: bytes) -> Taker | None:
        """Tell who takes the connection, None where that is not clear yet.

        :param received: all that has come.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        """Wait for the first bytes, but not for ever."""
        self._undecided.begin(self)

    def dataReceived(self, data: bytes) -> None:
        """Collect the first bytes."""
        self._received += data
        taker = self.decide(self._received)
        if taker is not None:
            self._received = b""
            self._become(taker)

    def late(self) -> None:
        """Give up on a connection that says nothing."""
        self.give_up()

    def give_up(self) -> None:
        """End the connection: nobody takes it."""
        self._undecided.end(self)
        self.dataReceived = _ignore  # type: ignore[method-assign]
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget a connection that left before it said anything."""
        self._undecided.end(self)

    def _become(self, taker: Taker) -> None:
        self._undecided.end(self)
        protocol = taker.factory.buildProtocol(taker.address)  # type: ignore[arg-type]
        if protocol is None:
            self.give_up()
            return
        if isinstance(self.transport, Server) and not self.transport.TLS:
            self.transport.protocol = protocol  # and nothing is left of this one
        elif isinstance(protocol, Newcomer):  # its own will change
            self.dataReceived = lambda data: protocol.dataReceived(data)  # type: ignore[method-assign]  # noqa: PLW0108
            self.connectionLost = lambda reason=connectionDone: protocol.connectionLost(reason)  # type: ignore[method-assign]
        else:
            self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
            self.connectionLost = protocol.connectionLost  # type: ignore[method-assign, assignment]
        protocol.makeConnection(self.transport)
        if taker.rest:
            protocol.dataReceived(taker.rest)


Undecided = Deadlines[Newcomer]


def undecided(clock: IReactorTime, seconds: float) -> Undecided:
    """Make what gives the newcomers of a port so much time each."""
    return Deadlines(clock, seconds, lambda newcomer: newcomer.late())


def _ignore(data: bytes) -> None:
    pass
