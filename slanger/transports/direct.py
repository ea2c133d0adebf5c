"""Writing to a TCP socket without a detour.

Twisted's `transport.write` buffers, waits for the next turn of the reactor, and sends then: two calls of `epoll_ctl`
and a round of the loop for each connection and event. Where nothing is buffered, sending at once is the same to the
peer, and halves the cost of a delivery (see "Speed" in the design). What the socket does not take goes the ordinary
way, and so does everything over TLS.
"""

from __future__ import annotations

from socket import socket
from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Server


def free_socket(transport: Any) -> socket | None:
    """Give the socket of a TCP connection of Twisted's that has nothing buffered; None where there is no such thing.

    It may be sent to until something is written to the transport, or the connection is ended.

    :param transport: that nothing is buffered shows in `dataBuffer` and `_tempDataBuffer`; the latter is Twisted's own,
        and a test holds a real connection against it.
    """
    if not isinstance(transport, Server) or transport.TLS or transport.disconnecting or not transport.connected:
        return None
    if transport.dataBuffer or transport._tempDataBuffer:
        return None
    free: socket = transport.socket
    return free


def send(free: socket, data: bytes) -> bytes:
    """Send as much as a socket takes, and give back what is left for the transport to write."""
    try:
        sent = free.send(data)
    except OSError:
        return data  # full, or broken: the transport meets the same, and knows what to do
    return b"" if sent == len(data) else data[sent:]


def write(transport: ITransport, data: bytes) -> None:
    """Write, straight to the socket where it is free."""
    free = free_socket(transport)
    rest = data if free is None else send(free, data)
    if rest:
        transport.write(rest)


def buffered(transport: Any) -> int:
    """Count the bytes that a transport has not handed to the kernel; 0 for one that does not tell."""
    below = getattr(transport, "transport", transport)  # TLS stands before the connection
    waiting: int = len(getattr(below, "dataBuffer", b"")) - getattr(below, "offset", 0)
    waiting += getattr(below, "_tempDataLen", 0)
    return waiting + sum(map(len, getattr(transport, "_appSendBuffer", ())))
