"""Writing to a TCP socket without a detour.

Twisted's `transport.write` buffers, waits for the next turn of the reactor, and sends then: two calls of `epoll_ctl`
and a round of the loop for each connection and event. Where nothing is buffered, sending at once is the same to the
peer, and halves the cost of a delivery (see "Speed" in the design). What the socket does not take goes the ordinary
way, and so does everything over TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Server

Send = Callable[[Any, bytes], bytes]
"""Sends bytes over a transport, and gives back those that are left for its `write`."""

Write = Callable[[Any, bytes], object]
"""Writes bytes to a transport."""


def sender(transport: ITransport) -> Send:
    """Choose the fastest way to send over a transport that keeps the order of what is sent and written."""
    return send_directly if isinstance(transport, Server) and not transport.TLS else send_nothing


def writer(transport: ITransport) -> Write:
    """Choose the fastest way to write to a transport that keeps the order of what is written."""
    return write_directly if sender(transport) is send_directly else write_ordinarily


def buffered(transport: Any) -> int:
    """Count the bytes that a transport has not handed to the kernel; 0 for one that does not tell."""
    below = getattr(transport, "transport", transport)  # TLS stands before the connection
    waiting: int = len(getattr(below, "dataBuffer", b"")) - getattr(below, "offset", 0)
    waiting += getattr(below, "_tempDataLen", 0)
    return waiting + sum(map(len, getattr(transport, "_appSendBuffer", ())))


def send_nothing(transport: ITransport, data: bytes) -> bytes:
    """Leave all of it."""
    return data


def send_directly(transport: Any, data: bytes) -> bytes:
    """Send straight to the socket, as much as it takes, while the transport has nothing buffered.

    :param transport: a TCP connection of Twisted's. That nothing is buffered shows in `dataBuffer` and
        `_tempDataBuffer`; the latter is Twisted's own, and a test holds a real connection against it.
    """
    if transport.dataBuffer or transport._tempDataBuffer or transport.disconnecting or not transport.connected:
        return data
    try:
        sent = transport.socket.send(data)
    except OSError:
        return data  # full, or broken: the transport meets the same, and knows what to do
    return b"" if sent == len(data) else data[sent:]


def write_ordinarily(transport: ITransport, data: bytes) -> None:
    """Leave it to the transport."""
    transport.write(data)


def write_directly(transport: Any, data: bytes) -> None:
    """Send straight to the socket, and leave the rest to the transport."""
    rest = send_directly(transport, data)
    if rest:
        transport.write(rest)
