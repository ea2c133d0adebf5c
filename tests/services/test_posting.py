"""Webhooks over HTTP, against a real server on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import directlyProvides, providedBy

from slanger.domain.webhooks import Hook
from slanger.reasons import reason_of
from slanger.services.posting import ANSWER_BYTES, ANSWER_TIMEOUT, Poster

BODY = b'{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"test"}]}'
HEADERS = (
    ("X-Team", "chat"),
    ("Content-Type", "application/json"),
    ("X-Pusher-Key", "278d425bdf160c739803"),
    ("X-Pusher-Signature", "3f70430fd434b35bf62af677c0612070a45b21339998fa30ceea1e8c372cbcc3"),
)
HOOK = Hook(1_700_000_000_000, BODY, HEADERS, 1)


class Endpoint(Resource):
    """A web application that keeps what it is sent."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.answer = b""
        self.requests: list[tuple[bytes, bytes, bytes]] = []
        self.headers: list[dict[bytes, Sequence[bytes]]] = []

    def render(self, request: Request) -> bytes:
        """Keep a request; answer it."""
        assert request.content is not None
        self.requests.append((request.method, request.uri, request.content.read()))
        self.headers.append(dict(request.requestHeaders.getAllRawHeaders()))
        request.setResponseCode(self.status)
        request.setHeader(b"Location", b"/elsewhere")
        return self.answer


class CountingSite(Site):
    """A site that counts connections."""

    connections = 0

    def buildProtocol(self, addr: Any) -> Any:
        """Count one."""
        self.connections += 1
        return super().buildProtocol(addr)


class Stubborn(Protocol):
    """A server that answers every request with the same bytes, and leaves the rest to the other side."""

    factory: Any

    def connectionMade(self) -> None:
        """Count a connection."""
        self.factory.open += 1

    def dataReceived(self, data: bytes) -> None:
        """Send what there is to send."""
        assert self.transport is not None
        self.factory.received += data
        self.transport.write(self.factory.answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say that the other side has let go."""
        self.factory.open -= 1
        self.factory.check()


class Hasty(Stubborn):
    """A server that hangs up after its answer, and does not say so before."""

    def dataReceived(self, data: bytes) -> None:
        """Answer, and hang up."""
        super().dataReceived(data)
        assert self.transport is not None
        self.transport.loseConnection()


class StubbornFactory(ServerFactory):
    """Makes such servers; `closed` fires when nobody is connected any more."""

    def __init__(self, answer: bytes, protocol: type[Stubborn] = Stubborn) -> None:
        self.protocol = protocol
        self.answer = answer
        self.open = 0
        self.received = b""
        self.closed: Deferred[None] = Deferred()

    def check(self) -> None:
        """See whether all have gone."""
        if not self.open and not self.closed.called:
            self.closed.callback(None)


class ClockedReactor:
    """The real reactor, whose calls wait for a clock: time passes when a test says so."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        self._reactor = reactor
        self.callLater = clock.callLater
        self.seconds = clock.seconds
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class PosterTest(TestCase):
    """Webhooks, request and delivery."""

    timeout = 20

    def setUp(self) -> None:
        """Listen, and have a client."""
        from twisted.internet import reactor  # noqa: PLC0415 (importing it installs it)

        self.reactor = cast(IReactorTime, reactor)
        self.endpoint = Endpoint()
        self.site = CountingSite(self.endpoint)
        self.url = self.listen(self.site)
        self.clock = Clock()
        self.poster = Poster(cast(IReactorTime, ClockedReactor(reactor, self.clock)))
        self.addCleanup(self.let_go)

    def listen(self, factory: Any) -> str:
        """Listen on a free port until the test is over; give the URL."""
        port: Any = cast(IReactorTCP, self.reactor).listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}/hook?a=b"

    async def let_go(self) -> None:
        """Close the connections that are kept for later, and let the server notice."""
        await self.poster._agent._pool.closeCachedConnections()

    async def post(self, url: str | None = None, hook: Hook = HOOK) -> int:
        """Send a hook; give the status."""
        return await self.poster(url or self.url, hook)

    async def test_request(self) -> None:
        """Request: one POST to the URL, the body to the byte."""
        self.assertEqual(await self.post(), 200)
        self.assertEqual(self.endpoint.requests, [(b"POST", b"/hook?a=b", BODY)])

    async def test_headers(self) -> None:
        """Request: the headers are exactly those that were given, and what HTTP itself needs."""
        await self.post()
        [headers] = self.endpoint.headers
        self.assertEqual(
            {name: headers[name.encode()] for name, _ in HEADERS}, {name: [value.encode()] for name, value in HEADERS}
        )
        others = {name.lower() for name in headers} - {name.lower().encode() for name, _ in HEADERS}
        self.assertLessEqual(others, {b"host", b"content-length", b"connection"})
        self.assertEqual(headers[b"Content-Length"], [b"%d" % len(BODY)])

    async def test_statuses(self) -> None:
        """Delivery: whatever the status is, it is given as it is."""
        for status in (200, 204, 301, 302, 307, 308, 404, 500, 503):
            self.endpoint.status = status
            self.assertEqual(await self.post(), status)

    async def test_redirects(self) -> None:
        """Delivery: no redirect is followed."""
        for status in (301, 302, 303, 307, 308):
            self.endpoint.status = status
            await self.post()
        self.assertEqual({uri for _, uri, _ in self.endpoint.requests}, {b"/hook?a=b"})
        self.assertEqual(len(self.endpoint.requests), 5)

    async def test_reuse(self) -> None:
        """Delivery: one connection serves request after request, also where answers have a body."""
        self.endpoint.answer = b"x" * (ANSWER_BYTES // 2)
        for _ in range(5):
            await self.post()
            await self.idle()
        self.assertEqual(self.site.connections, 1)

    async def test_hangs_up(self) -> None:
        """Delivery: an endpoint may hang up after each answer without a word, as those of HTTP/1.0 do; none fails."""
        hasty = StubbornFactory(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Hasty)
        url = self.listen(hasty)
        self.assertEqual([await self.post(url) for _ in range(10)], [200] * 10)
        self.assertEqual(hasty.received.count(BODY), 10)

    async def test_hangs_up_before_it_answers(self) -> None:
        """Delivery: an endpoint that only ever hangs up is asked once more, then it fails."""
        hasty = StubbornFactory(b"", Hasty)
        with self.assertRaises(ResponseNeverReceived):
            await self.post(self.listen(hasty))
        self.assertEqual(hasty.received.count(BODY), 2)

    async def idle(self) -> None:
        """Wait until the client has a connection to spare."""
        await self.poll(lambda: any(self.poster._agent._pool._connections.values()))

    async def poll(self, happened: Callable[[], object], turns: int = 5000) -> None:
        """Wait until something has happened."""
        for _ in range(turns):
            if happened():
                return
            await deferLater(self.reactor, 0.001)
        self.fail("it has not happened")

    async def test_no_server(self) -> None:
        """Delivery: where nobody listens it fails."""
        port: Any = cast(IReactorTCP, self.reactor).listenTCP(0, ServerFactory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        self.poster = Poster(self.reactor)
        with self.assertRaises(ConnectError):
            await self.post(f"http://127.0.0.1:{number}/")

    async def test_impossible_urls(self) -> None:
        """Delivery: a URL that cannot be used fails by the Deferred, and never raises."""
        self.poster = Poster(self.reactor)
        for url in ("ftp://127.0.0.1/", "http://127.0.0.1:port/", "http://", "nonsense", "http://127.0.0.1:99999/"):
            failed: list[Failure] = []
            self.poster(url, HOOK).addCallbacks(lambda _status: None, failed.append)
            await self.poll(lambda failed=failed: failed)  # type: ignore[misc]
            self.assertEqual(len(failed), 1, url)

    async def test_no_answer(self) -> None:
        """Delivery: an endpoint that takes the request and never answers fails in time, and is let go."""
        stubborn = StubbornFactory(b"")
        failed: list[Failure] = []
        posting = self.poster(self.listen(stubborn), HOOK).addErrback(failed.append)
        await self.poll(lambda: stubborn.received)
        self.clock.advance(ANSWER_TIMEOUT - 0.1)
        self.assertEqual((failed, stubborn.open), ([], 1))
        self.clock.advance(0.1)
        await posting
        self.assertEqual((len(failed), stubborn.received.count(BODY)), (1, 1))
        await stubborn.closed

    async def test_large_answer(self) -> None:
        """Bounded: an answer without end is cut off, and its connection closed."""
        stubborn = StubbornFactory(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 500_000)
        self.assertEqual(await self.post(self.listen(stubborn)), 200)
        await stubborn.closed

    async def test_head_without_end(self) -> None:
        """Bounded: headers without end are cut off, and so is one interim answer after the other."""
        for said in (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000):
            stubborn = StubbornFactory(said)
            with self.assertRaises(ResponseFailed) as caught:
                await self.post(self.listen(stubborn))
            self.assertEqual(reason_of(Failure(caught.exception)), f"its answer has more than {ANSWER_BYTES} bytes")
            await stubborn.closed

    async def test_quiet(self) -> None:
        """Delivery: connections that come and go by the thousand are not logged."""
        self.endpoint.answer = b"done"
        with capturedLogs() as logs:
            await self.post()
            await self.idle()
            await self.let_go()
        ours = [each for each in logs if "HTTP11" in f"{each.get('factory')}{each['log_namespace']}"]
        self.assertEqual(ours, [])

    async def test_answer_that_does_not_end(self) -> None:
        """Bounded: an endpoint that begins an answer and never ends it holds no connection for ever."""
        stubborn = StubbornFactory(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        self.addCleanup(self.end, stubborn)
        self.assertEqual(await self.post(self.listen(stubborn)), 200)
        self.clock.advance(2 * ANSWER_TIMEOUT)
        await self.poll(lambda: stubborn.closed.called, 200)

    async def end(self, stubborn: StubbornFactory) -> None:
        """Do for the client what it should have done, so that one fault is told once."""
        for reader in self.reactor.getReaders():  # type: ignore[attr-defined]
            if isinstance(getattr(reader, "protocol", None), Stubborn):
                reader.abortConnection()
        if stubborn.open:
            await stubborn.closed

    async def test_garbage(self) -> None:
        """Delivery: an answer that is no HTTP fails, and is let go."""
        stubborn = StubbornFactory(b"hello\r\n\r\n")
        with self.assertRaises(Exception):  # noqa: B017 (any: it is the webhooks' failure to handle)
            await self.post(self.listen(stubborn))
        await stubborn.closed
