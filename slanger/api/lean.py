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

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITransport
from twisted.logger import Logger
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import STATUSES, Api, Reply, respond
from slanger.api.site import ApiChannel, ApiSite
from slanger.domain.limits import Limits
from slanger.proxies import HEADER

HEAD_BYTES = 2000
"""Bytes of a plain head. Within twisted.web's limits in any case: 16 KiB, and 500 headers, of four bytes at least."""

REQUEST_BYTES = 64 * 1024
"""Bytes of a plain request; about what the reactor reads at once."""

METHODS = (b"GET", b"POST")

CLIENTS = 256
"""Headers that are remembered."""

REPLIES = 64
"""Heads of replies that are remembered; nearly all that are sent in one second are alike."""

_LINE = re.compile(rb"(%b) (/[!-~]*) HTTP/1\.1\r\n" % b"|".join(METHODS))

STEERING = frozenset((b"connection", b"expect", b"origin", b"transfer-encoding"))
HARMLESS = (b"connection", b"keep-alive")
FORWARDED = HEADER.encode()

Write = Callable[[ITransport, bytes], object]
"""Writes bytes to a transport, the fastest way."""


class Head(NamedTuple):
    """The head of a plain request.

    :ivar body: where the body begins.
    :ivar end: where it ends; not all of it need be there yet.
    :ivar forwarded: what `X-Forwarded-For` says.
    """

    method: bytes
    uri: bytes
    body: int
    end: int
    forwarded: str


def read_head(data: bytes, longest: int = HEAD_BYTES) -> Head | None:
    """Read the head of a request, if it is all there and plain.

    :param longest: bytes it may have; up to `HEAD_BYTES`.
    """
    line = _LINE.match(data)
    body = data.find(b"\r\n\r\n", 0, longest) + 4
    if line is None or body < 4:
        return None
    said = read_headers(data[line.end() : body])
    if not said.plain or body + said.length > REQUEST_BYTES:
        return None
    return Head(line[1], line[2], body, body + said.length, said.forwarded)


class Headers:
    """What headers say. The parser tells what it finds; it has made sure that lengths are numbers, and come once.

    :ivar plain: whether none says how to read or answer the request, save for the length of its body.
    :ivar length: of the body.
    :ivar forwarded: see `Head`.
    """

    plain = True
    length = 0
    forwarded = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what matters, and note what makes a request less than plain."""
        name = name.lower()
        if name == b"content-length":
            self.length = int(value)
        elif name == FORWARDED:
            self.forwarded += f",{value.decode('latin-1')}"
        elif name in STEERING and (name, value.lower()) != HARMLESS:
            self.plain = False


@lru_cache(CLIENTS)
def read_headers(headers: bytes) -> Headers:
    """Read what headers say. Those of one client hardly change, so some are kept.

    :param headers: all lines behind the first, the empty one included.
    """
    said = Headers()
    try:
        HttpRequestParser(said).feed_data(b"POST / HTTP/1.1\r\n" + headers)
    except (HttpParserError, HttpParserUpgrade):
        said.plain = False
    return said


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
        """Begin with nothing to send."""
        super().connectionMade()
        self._unsent: list[bytes] = []

    def take(self, data: bytes) -> None:
        """Answer plain requests, and give the rest to twisted.web."""
        if self._lean:
            self.resetTimeout()
            held = self._held
            received = held + data
            data = self._answer_plain(received)
            if not data:
                if held or self._held:
                    self._watch_arrival(len(received))
                return
            self._lean = False
            self.flush()
        super().take(data)

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
            self.site.write(cast(ITransport, self.transport), unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def _watch_arrival(self, received: int) -> None:
        """Give a request that is not all there its time; it began with these bytes, unless none were answered."""
        if len(self._held) < received:
            self.arrived()
        if self._held:
            self.arriving()

    def _answer_plain(self, data: bytes) -> bytes:
        """Answer the plain requests that come first, hold one that is not complete, and give back what is left."""
        self._held = b""
        while data:
            if len(data) < self._wanted:
                self._held = data
                return b""
            self._wanted = 0
            head = read_head(data, self.site.head_bytes)
            if head is None or self.site.leaving:
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
            if self.site.log_request is not None:
                path, size = request.path, len(reply.body)
                self.site.log_request(address, request.method, path, reply.status, size)
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

    :param write: writes to a connection.
    """

    protocol = LeanChannel
    _log = Logger()

    def __init__(self, api: Api, reactor: IReactorTime, write: Write) -> None:
        super().__init__(api, reactor)
        self.write = write
        self._unflushed: list[LeanChannel] = []

    def getResourceFor(self, request: Request) -> IResource:
        """Find what answers a request of twisted.web."""
        channel = cast(LeanChannel, request.channel)
        under_way, channel.under_way = channel.under_way, None
        return under_way or super().getResourceFor(request)

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on."""
        super().apply(limits)
        self.head_bytes = min(HEAD_BYTES, limits.header_bytes)

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
    length = len(reply.body)
    return _head(reply.status, reply.content_type, reply.allow, reply.retry_after, length, int(now)) + reply.body


@lru_cache(REPLIES)
def _head(status: int, content_type: str, allow: str, retry_after: int, length: int, second: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\nDate: %b\r\n%b%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
        status,
        STATUSES[status],
        datetimeToString(second),
        b"Allow: %b\r\n" % allow.encode() if allow else b"",
        b"Retry-After: %d\r\n" % retry_after if retry_after else b"",
        content_type.encode(),
        length,
    )
