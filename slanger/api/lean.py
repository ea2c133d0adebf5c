"""The lean way: plain requests are read by a parser in C, and answered without twisted.web.

Most requests are plain: a GET or POST of HTTP/1.1 whose head came in one piece, with a short body of known length, and
no header that says how to read or answer it. twisted.web spends its time on what such a request does not have ("Speed"
in the design tells how much). So the channel here is twisted.web's own, and looks at what comes before twisted.web
does: a plain request goes straight to its endpoint. Anything else goes to twisted.web, every byte of it, and so does
what follows, until twisted.web has answered and holds nothing back.

Nothing is refused here: what the parser does not like may still please twisted.web, which decides, and finds the words.
And nothing is taken that twisted.web would read otherwise; tests compare the two over all kinds of bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITransport
from twisted.logger import Logger
from twisted.web.http import RESPONSES, datetimeToString
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import Api, Reply, respond
from slanger.api.site import ApiChannel, ApiSite
from slanger.proxies import HEADER

HEAD_BYTES = 2000
"""Bytes of a plain head. Within twisted.web's limits in any case: 16 KiB, and 500 headers, of four bytes at least."""

REQUEST_BYTES = 64 * 1024
"""Bytes of a plain request; about what the reactor reads at once."""

METHODS = (b"GET", b"POST")

STEERING = frozenset((b"connection", b"expect", b"transfer-encoding"))
HARMLESS = (b"connection", b"keep-alive")
FORWARDED = HEADER.encode()
NOTED = STEERING | {FORWARDED}

Writer = Callable[[ITransport], Callable[[Any, bytes], object]]
"""Gives the fastest way to write to a transport: what takes it, and bytes."""


class Head:
    """The head of a request. The parser tells what it finds; it has made sure that lengths are numbers, and come once.

    :ivar plain: whether no header says how to read or answer the request, save for the length of its body.
    :ivar body: where the body begins.
    :ivar end: where it ends; not all of it need be there yet.
    :ivar forwarded: what `X-Forwarded-For` says.
    """

    __slots__ = ("body", "end", "forwarded", "method", "plain", "uri")

    method: bytes
    uri: bytes

    def __init__(self, length: int) -> None:
        self.plain = True
        self.forwarded = ""
        self.body = self.end = length

    def on_url(self, uri: bytes) -> None:
        """Keep what is asked for."""
        self.uri = uri

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the length of the body, and note what makes a request less than plain."""
        name = name.lower()
        if name == b"content-length":
            self.end += int(value)
        elif name in NOTED:
            if name == FORWARDED:
                self.forwarded += f",{value.decode('latin-1')}"
            elif (name, value.lower()) != HARMLESS:
                self.plain = False


def read_head(data: bytes) -> Head | None:
    """Read the head of a request, if it is all there and plain."""
    length = data.find(b"\r\n\r\n", 0, HEAD_BYTES) + 4
    if length < 4:
        return None
    head = Head(length)
    parser = HttpRequestParser(head)
    try:
        parser.feed_data(data[:length])
    except (HttpParserError, HttpParserUpgrade):
        return None
    head.method = parser.get_method()
    if not head.plain or head.end > REQUEST_BYTES or head.method not in METHODS or not head.uri.startswith(b"/"):
        return None
    if not data.startswith(b"%b %b HTTP/1.1\r\n" % (head.method, head.uri)):  # the parser is generous with blanks
        return None
    return head


class LeanChannel(ApiChannel):
    """One connection.

    :ivar under_way: what answers, in place of an endpoint, the request that twisted.web is about to read.
    """

    site: LeanSite
    under_way: Resource | None = None
    _lean = True  # twisted.web has nothing of what has come since the last answer
    _held = b""  # a plain head and part of its body
    _wanted = 0  # bytes of that request

    def connectionMade(self) -> None:
        """Find the way to write."""
        super().connectionMade()
        self._write = self.site.writer(cast(ITransport, self.transport))
        self._unsent: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """Answer plain requests, and give the rest to twisted.web."""
        if self._lean:
            self.resetTimeout()
            data = self._answer_plain(self._held + data)
            if not data:
                return
            self._lean = False
            self.flush()
        super().dataReceived(data)

    def requestDone(self, request: Request) -> None:
        """Take over again when twisted.web has answered all it was given."""
        super().requestDone(request)
        self._lean = bool(self.persistent) and not self.requests and not self._buffer

    def loseConnection(self) -> None:
        """End the connection: it said so, or has been silent for too long. What comes now is for nobody."""
        self._lean = False
        super().loseConnection()

    def flush(self) -> None:
        """Send the answers of this reactor turn."""
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            self._write(self.transport, unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def _answer_plain(self, data: bytes) -> bytes:
        """Answer the plain requests that come first, hold one that is not complete, and give back what is left."""
        self._held = b""
        while data:
            if len(data) < self._wanted:
                self._held = data
                return b""
            self._wanted = 0
            head = read_head(data)
            if head is None:
                break
            if len(data) < head.end:
                self._wanted = head.end
                continue
            if not self._answer(head, data):
                break
            data = data[head.end :]
        return data

    def _answer(self, head: Head, data: bytes) -> bool:
        """Answer a request, if that can be done at once; if not, twisted.web shall read it, and wait for the answer."""
        address = self.caller(head.forwarded) if head.forwarded else self.address
        request = SignedRequest.of(head.method, head.uri, data[head.body : head.end], address)
        reply = self.site.root.leaf(request.path).answer(request)
        if isinstance(reply, Reply):
            if not self._unsent:
                self.site.flush_later(self)
            self._unsent.append(_written(reply, self.site.reactor.seconds()))
            return True
        self.under_way = _UnderWay(reply)
        return False


class _UnderWay(Resource):
    """An answer that takes time. twisted.web waits for it, and knows what to do with the connection meanwhile."""

    isLeaf = True

    def __init__(self, reply: Deferred[Reply]) -> None:
        super().__init__()
        self._reply = reply

    def render(self, request: Request) -> object:
        """Wait for the answer."""
        return respond(request, self._reply)


class LeanSite(ApiSite):
    """The HTTP server of the API, where plain requests go the lean way.

    Answers leave when the reactor turn is over: that joins those of one connection, and wakes clients together.

    :param writer: finds the way to write to a connection.
    """

    protocol = LeanChannel
    _log = Logger()

    def __init__(self, api: Api, reactor: IReactorTime, writer: Writer) -> None:
        super().__init__(api, reactor)
        self.writer = writer
        self._unflushed: list[LeanChannel] = []

    def getResourceFor(self, request: Request) -> IResource:
        """Find what answers a request of twisted.web."""
        channel = cast(LeanChannel, request.channel)
        under_way, channel.under_way = channel.under_way, None
        return under_way or super().getResourceFor(request)

    def flush_later(self, channel: LeanChannel) -> None:
        """Have a channel send its answers when the reactor turn is over."""
        if not self._unflushed:
            self.reactor.callLater(0, self._flush)
        self._unflushed.append(channel)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        for channel in unflushed:
            try:
                channel.flush()
            except Exception:
                self._log.failure("answering a connection failed")


def _written(reply: Reply, now: float) -> bytes:
    """Write a reply as twisted.web writes it."""
    return b"HTTP/1.1 %d %b\r\nDate: %b\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        reply.status,
        RESPONSES[reply.status],
        _date(int(now)),
        b"Allow: %b\r\n" % reply.allow.encode() if reply.allow else b"",
        reply.content_type.encode(),
        len(reply.body),
        reply.body,
    )


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    text: bytes = datetimeToString(second)
    return text
