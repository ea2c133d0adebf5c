"""Publishers: HTTP connections that are kept, each with one request at a time, as server SDKs hold them.

Requests are signed before the measurement begins, a few thousand of them, and sent in turn: signing here would take as
long as checking takes there. The signature of a request is good for ten minutes, and nothing forbids to send it again.
"""

from __future__ import annotations

import re
import socket
import time
from array import array
from collections.abc import MutableSequence, Sequence
from itertools import cycle

from tests.benchmarks.faults import Fault
from tests.benchmarks.loop import Loop
from tests.benchmarks.requests import request
from tests.benchmarks.subscribers import INDEX_DIGITS, MARK
from tests.benchmarks.targets import Serving

POOL = 2000
"""Requests that are signed beforehand, at least."""

PATIENCE = 10.0
"""Seconds to connect."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Press:
    """Publishers of one server; use it as a context manager.

    :param count: connections.
    :param channels: to publish on, in turn.
    :param batch: events of one request; 1 is no batch.
    :param size: bytes of each event's data.
    """

    def __init__(
        self, loop: Loop, serving: Serving, count: int, channels: Sequence[str], batch: int = 1, size: int = 100
    ) -> None:
        self.loop = loop
        self.serving = serving
        self.batch = batch
        self.channels = tuple(channels)
        self.published = [0] * len(channels)
        """Events sent on each channel, and not refused."""
        self.good = 0
        """Events sent, and not refused."""
        self.acknowledged = 0
        self.refused = 0
        self.complaint = ""
        self.answer_times: MutableSequence[float] = array("d")
        """Seconds from request to answer."""
        numbers = range(len(channels)) if len(channels) >= POOL else [n % len(channels) for n in range(POOL)]
        self._requests = [
            (_write(serving, channels[number], index, batch, size), index, number)
            for index, number in enumerate(numbers)
        ]
        self.sent_at = array("d", bytes(8 * len(self._requests)))
        """When each of the requests was sent last, by its index."""
        self._next = cycle(self._requests).__next__
        self.publishers = [Publisher(self) for _ in range(count)]
        self.idle = list(self.publishers)

    def __enter__(self) -> Press:
        return self

    def __exit__(self, *fault: object) -> None:
        for publisher in self.publishers:
            publisher.close()

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return len(self.idle) < len(self.publishers)

    def publish(self) -> None:
        """Send the next request on a connection that is idle."""
        content, index, channel = self._next()
        self.published[channel] += self.batch
        self.good += self.batch
        self.sent_at[index] = self.idle.pop().send(content, channel)


class Publisher:
    """One connection of a press."""

    __slots__ = ("_channel", "_press", "_rest", "_sent_at", "_socket", "_usual")

    def __init__(self, press: Press) -> None:
        self._press = press
        self._rest = b""
        self._channel = -1
        self._sent_at = 0.0
        self._usual = -1
        self._connect()

    def send(self, content: bytes, channel: int) -> float:
        """Send a request; tell when."""
        self._channel = channel
        self._sent_at = time.perf_counter()
        try:
            sent = self._socket.send(content)
        except OSError as fault:
            raise Fault(f"a publisher's connection broke: {fault.strerror}") from None
        if sent != len(content):
            raise Fault("the server reads so slowly that a request does not fit into the socket's buffer")
        return self._sent_at

    def close(self) -> None:
        """End the connection."""
        self._press.loop.forget(self._socket)
        self._socket.close()

    def _connect(self) -> None:
        try:
            self._socket = socket.create_connection(self._press.serving.api, PATIENCE)
        except OSError as fault:
            raise Fault(f"a publisher cannot connect: {fault.strerror}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._press.loop.watch(self._socket, self._read)

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as fault:
            raise Fault(f"a publisher's connection broke: {fault.strerror}") from None
        if not data:
            self.close()
            self._connect()
            if self._channel >= 0:
                self._answered(b"the server ended the connection before it answered", good=False)
            return
        if len(data) != self._usual or not data.startswith(b"HTTP/1.1 200 "):
            data = self._rest + data
            if not _is_whole(data):
                self._rest = data
                return
            self._rest = b""
            if _CLOSE.search(data):
                self.close()
                self._connect()
            else:
                self._usual = len(data)
        self._answered(data, good=data.startswith(b"HTTP/1.1 200 "))

    def _answered(self, data: bytes, *, good: bool) -> None:
        press = self._press
        press.answer_times.append(time.perf_counter() - self._sent_at)
        if good:
            press.acknowledged += press.batch
        else:
            press.refused += press.batch
            press.good -= press.batch
            press.published[self._channel] -= press.batch
            press.complaint = data.decode("latin-1").replace("\r\n", " ")[:300]
        self._channel = -1
        press.idle.append(self)


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        return bool(found) and len(body) >= int(length[1])
    return bool(found) and (not _CHUNKED.search(head) or body.endswith(_LAST_CHUNK))


def _write(serving: Serving, channel: str, index: int, batch: int, size: int) -> bytes:
    """Write a request that publishes on a channel."""
    data = f"{MARK.decode()}{index:0{INDEX_DIGITS}d}".ljust(size, "x")
    if batch == 1:
        return request(serving, "POST", "/events", {"name": "price", "channels": [channel], "data": data})
    events = [{"name": "price", "channel": channel, "data": data}] * batch
    return request(serving, "POST", "/batch_events", {"batch": events})
