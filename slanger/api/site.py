"""The HTTP server around the paths of the API: twisted.web, bounded in time and size, and of few words."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, cast

from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import STATUSES, Api, caller_of, plain_text, write
from slanger.api.paths import MetricsRoot, Root
from slanger.deadlines import Deadlines
from slanger.domain.limits import Limits
from slanger.domain.origins import is_allowed
from slanger.protocol.names import REQUEST_BODY_BYTES
from slanger.proxies import UNIX, address_of

PATIENCE_BYTES = 16 * REQUEST_BODY_BYTES
"""Bytes beyond what is allowed that are read and thrown away, so that the answer can be heard."""

UNSIGNED_BYTES = 64 * 1024
"""Bytes of a body that are kept of anybody; more only where the head is signed, or strangers could fill the memory."""

PREFLIGHT_SECONDS = 7200
"""Seconds for which a browser remembers what it may ask."""


class ApiRequest(Request):
    """A request whose body is bounded, and whose faults are told in plain text."""

    content: BytesIO
    channel: Any
    _body_bytes = 0
    _kept_bytes = 0

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory: it is small, or it is not kept.

        At most one byte more than is allowed; that byte has the request refused.
        """
        self.content = BytesIO()
        self._kept_bytes = self.channel.site.limits.body_bytes + 1
        if (length is None or length > UNSIGNED_BYTES) and not self._is_wanted():
            self._kept_bytes = min(self._kept_bytes, UNSIGNED_BYTES)

    def _is_wanted(self) -> bool:
        """Whether the body may make a difference; until it is there the channel alone has the first line."""
        request = SignedRequest.of(self.channel._command, self.channel._path, b"")
        return cast(Root, self.channel.site.root).leaf(request.path).wants_body(request)

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body."""
        self._body_bytes += len(data)
        allowed = self.channel.site.limits.body_bytes
        if self._body_bytes > allowed + PATIENCE_BYTES:
            self.channel.loseConnection()
        self.content.write(data[: max(0, self._kept_bytes - self.content.tell())])

    def process(self) -> None:
        """Answer, unless the caller was hung up on."""
        site = self.channel.site
        if self._body_bytes > site.limits.body_bytes + PATIENCE_BYTES:
            return
        if site.cors_origins and not self._share(site.cors_origins):
            return
        super().process()

    def _share(self, origins: Sequence[str]) -> bool:
        """Let web pages of some origins read the answer (CORS); tell whether there is more to answer."""
        self.setHeader("Vary", "Origin")
        origin = self.getHeader("Origin")
        if origin is None or not is_allowed(origin, origins):
            return True
        self.setHeader("Access-Control-Allow-Origin", origin)
        if self.method != b"OPTIONS" or self.getHeader("Access-Control-Request-Method") is None:
            return True
        self.setHeader("Access-Control-Allow-Methods", "GET, POST")
        self.setHeader("Access-Control-Allow-Headers", "Content-Type, X-Pusher-Library")
        self.setHeader("Access-Control-Max-Age", str(PREFLIGHT_SECONDS))
        self.setHeader("Content-Length", "0")
        self.setResponseCode(200)
        self.finish()
        return False

    def setHeader(self, name: str | bytes, value: str | bytes) -> None:
        """Set a header; what server this is, is nobody's business."""
        if name not in (b"Server", "Server"):
            super().setHeader(name, value)

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer a fault of ours; it stays in the log."""
        self.channel.site.complain("answering a request failed", f"{self.method!r} {self.path!r}")
        write(self, plain_text(500, "500 INTERNAL SERVER ERROR"))
        return reason


class ApiChannel(HTTPChannel):
    """One connection of twisted.web: each request has so much time to arrive, and nothing of it is logged.

    :ivar address: where it comes from.
    """

    site: ApiSite
    address = UNIX
    _arriving = False

    def connectionMade(self) -> None:
        """Take the limits of the site."""
        self.totalHeadersSize = self.MAX_LENGTH = self.site.limits.header_bytes
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes. An exception ends here, with this connection."""
        try:
            self.take(data)
        except Exception:
            self.site.complain("closing a connection after a fault", self.address)
            cast(ITCPTransport, self.transport).abortConnection()

    def take(self, data: bytes) -> None:
        """Take bytes; a request that begins with them has its time."""
        if not self._handlingRequest:
            self.arriving()
        super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        """Take a header; Python reads no number of thousands of digits, as a length may be written."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False

    def allContentReceived(self) -> None:
        """Learn that a request is all there."""
        self.arrived()
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        """Go on after an answer; one that is the last has the time of a silent connection to be read."""
        if not self.persistent:
            self.setTimeout(self._savedTimeOut)
        super().requestDone(request)

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Tell whether the connection outlives a request; while the node leaves none does, and callers are told."""
        if self.site.leaving:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        self.arrived()
        super().connectionLost(reason)

    def loseConnection(self) -> None:
        """Hang up: what has not arrived by now need not."""
        self.arrived()
        super().loseConnection()

    def arriving(self) -> None:
        """Note that a request has begun, or goes on."""
        if not self._arriving:
            self._arriving = True
            self.site.arrivals.begin(self)

    def arrived(self) -> None:
        """Note that it has ended."""
        if self._arriving:
            self._arriving = False
            self.site.arrivals.end(self)

    def too_slow(self) -> None:
        """End a connection whose request has not arrived in time."""
        self._arriving = False
        self.setTimeout(None)
        self.site.tallies.connections_cut["request_timeout",] += 1
        self._refuse(408, f"the request was not all there within {self.site.limits.request_timeout} seconds")
        self.timeoutConnection()

    def timeoutConnection(self) -> None:
        """Hang up, and drop the connection if its client does not read what it was sent."""
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def forceAbortClient(self) -> None:
        """Drop the connection."""
        self._abortingCall = None
        self.site.tallies.connections_cut["close_timeout",] += 1
        cast(ITCPTransport, self.transport).abortConnection()

    def pauseProducing(self) -> None:
        """Read nothing more from a client that does not read; twisted.web would go on where it is about to answer."""
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def caller(self, forwarded: str) -> str:
        """Give the address of whoever made a request.

        :param forwarded: what its `X-Forwarded-For` says.
        """
        return self.site.proxies.client(self.address, forwarded)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Say in plain text that this is no HTTP; twisted.web alone says nothing."""
        self._refuse(400, "this is not HTTP as it should be, or its head is too large")
        self.loseConnection()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is longer than a whole head may be."""
        self._respondToBadRequestAndDisconnect()

    def _refuse(self, status: int, text: str) -> None:
        self.site.tallies.requests_refused[(str(status),)] += 1
        line = b"%d %b" % (status, STATUSES[status])
        body = b"%b: %b\n" % (line.upper(), text.encode())
        head = b"Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: %d" % len(body)
        cast(ITCPTransport, self.transport).write(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (line, head, body))


class ApiSite(Site):
    """The HTTP server of the API. It never looks for form fields in a body.

    :ivar arrivals: the connections whose requests are not all there yet.
    :ivar leaving: whether each connection is to end with the next answer.
    """

    protocol = ApiChannel  # type: ignore[assignment]  # the base is typed for its own only
    noisy = False
    leaving = False

    def __init__(self, api: Api, reactor: IReactorTime) -> None:
        self.log_request = api.log_request
        self.proxies = api.proxies
        self._api = api
        self.root = Root(api)
        self.cors_origins = api.cors_origins
        self.tallies = api.tallies
        self.complain = api.complain
        self.arrivals: Deadlines[ApiChannel] = Deadlines(reactor, api.limits.request_timeout, ApiChannel.too_slow)
        super().__init__(self.root, requestFactory=ApiRequest, parsePOSTFormSubmission=False, reactor=reactor)
        self.apply(api.limits)

    def apply(self, limits: Limits) -> None:
        """Go by other limits from now on."""
        self.limits = self._api.limits = limits
        self.arrivals.seconds = limits.request_timeout
        self.timeOut = limits.keep_alive

    def leave(self) -> None:
        """Have callers connect again for their next request: to another node, before this one is gone."""
        self.leaving = True

    def acceptableProtocols(self) -> list[bytes]:
        """Speak HTTP/1.1 over TLS; the channels here know nothing else."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make a connection."""
        channel = super().buildProtocol(addr)
        cast(ApiChannel, channel).address = address_of(addr)
        return channel

    def log(self, request: Request) -> None:  # type: ignore[override]
        """Tell of a request that twisted.web has answered, where that is wanted; it keeps no log of its own."""
        if self.log_request is not None:
            method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
            self.log_request(caller_of(request), method, path, request.code, request.sentLength)


class MetricsSite(ApiSite):
    """The HTTP server of a port that is for metrics alone."""

    def __init__(self, api: Api, reactor: IReactorTime) -> None:
        super().__init__(api, reactor)
        self.resource = MetricsRoot(api)

    def log(self, request: Request) -> None:  # type: ignore[override]
        """Nobody wants to read of that."""
