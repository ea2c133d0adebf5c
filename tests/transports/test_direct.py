"""Writing straight to the socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection, Server
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slanger.transports.direct import write


class Socket:
    """A socket that takes as much as it is told to: a number of bytes, or an error."""

    def __init__(self, moods: Iterator[int | OSError]) -> None:
        self._moods = moods
        self.sent = b""
        self.sends = 0

    def send(self, data: bytes, /) -> int:
        """Take a part of it."""
        self.sends += 1
        mood = next(self._moods)
        if isinstance(mood, OSError):
            raise mood
        self.sent += data[:mood]
        return min(mood, len(data))


class Transport(Server):
    """Twisted's TCP transport, as far as it buffers."""

    def __init__(self, *moods: int | OSError) -> None:
        self.socket: Any = Socket(iter(moods))
        self.dataBuffer = b""
        self._tempDataBuffer: list[bytes] = []
        self.connected = 1
        self.disconnecting = False

    def write(self, data: bytes, /) -> None:
        """Buffer it."""
        self._tempDataBuffer.append(data)

    def drain(self) -> None:
        """Send what is buffered, as the reactor does when the socket is writable again."""
        self.socket.sent += self.dataBuffer + b"".join(self._tempDataBuffer)
        self.dataBuffer = b""
        self._tempDataBuffer.clear()


AGAIN = BlockingIOError(errno.EAGAIN, "full")
BROKEN = ConnectionResetError(errno.ECONNRESET, "gone")


class DirectTests(SynchronousTestCase):
    """What is written reaches the peer whole, once and in order."""

    def test_at_once(self) -> None:
        """Where nothing is buffered, bytes leave at once, by one send, and the transport hears nothing of it."""
        transport = Transport(100)
        write(transport, b"hello")
        self.assertEqual((transport.socket.sent, transport.socket.sends), (b"hello", 1))
        self.assertEqual(transport._tempDataBuffer, [])

    def test_short_write(self) -> None:
        """What the socket does not take goes by way of the transport."""
        transport = Transport(2)
        write(transport, b"hello")
        self.assertEqual((transport.socket.sent, transport._tempDataBuffer), (b"he", [b"llo"]))

    def test_full(self) -> None:
        """A full socket sends everything by way of the transport; so does a broken one, which it finds out itself."""
        for fault in (AGAIN, BROKEN):
            transport = Transport(fault)
            write(transport, b"hello")
            self.assertEqual((transport.socket.sent, transport._tempDataBuffer), (b"", [b"hello"]))

    def test_no_overtaking(self) -> None:
        """While the transport has something buffered, the socket is left alone."""
        for buffered in ("dataBuffer", "_tempDataBuffer"):
            transport = Transport()
            setattr(transport, buffered, b"first" if buffered == "dataBuffer" else [b"first"])
            write(transport, b"second")
            transport.drain()
            self.assertEqual((transport.socket.sent, transport.socket.sends), (b"firstsecond", 0))

    def test_ending(self) -> None:
        """A connection that is closing or lost is the transport's to judge."""
        for state, value in (("disconnecting", 1), ("connected", 0)):
            transport = Transport()
            setattr(transport, state, value)
            write(transport, b"late")
            self.assertEqual((transport.socket.sends, transport._tempDataBuffer), (0, [b"late"]))

    @given(
        st.lists(st.binary(min_size=1, max_size=9), max_size=30),
        st.lists(st.one_of(st.integers(0, 9), st.just(AGAIN)), min_size=30, max_size=30),
        st.sets(st.integers(0, 29)),
    )
    def test_any_socket(self, writes: list[bytes], moods: list[int | OSError], drains: set[int]) -> None:
        """Whatever a socket takes, and whenever it is writable again, its peer reads what was written."""
        transport = Transport(*moods)
        for number, data in enumerate(writes):
            write(transport, data)
            if number in drains:
                transport.drain()
        transport.drain()
        self.assertEqual(transport.socket.sent, b"".join(writes))


class FreeSocketTests(SynchronousTestCase):
    """Which transports are written to directly."""

    def test_others(self) -> None:
        """A transport that is no TCP connection, such as one over TLS, is written to as ever."""
        transport = StringTransport()
        write(transport, b"hello")
        self.assertEqual(transport.value(), b"hello")

    def test_tcp(self) -> None:
        """A TCP connection of Twisted's has what is looked at, and its peer reads at once what is written."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport = _Accepted(ours)
        write(transport, b"hello")
        self.assertEqual(theirs.recv(100), b"hello")


@implementer(ITransport)
class _Accepted(Server):
    """A connection as Twisted accepts it, without a reactor around it."""

    def __init__(self, sock: socket.socket) -> None:
        Connection.__init__(self, sock, Protocol(), MemoryReactorClock())
        self.connected = 1
