"""The lean way: what takes it, and that nobody could tell it from twisted.web."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.api.endpoint import Api
from slanger.api.lean import HEAD_BYTES, METHODS, REQUEST_BYTES, LeanSite, read_head
from slanger.api.site import ApiSite
from slanger.domain.apps import App, Apps
from slanger.domain.channels import Counts
from slanger.transports.direct import write
from tests.api.requests import NOW, ApiTestCase, Connection, request_bytes, signed_target
from tests.builders import MemoryNode
from tests.server import KEY, SECRET

EVENTS = "/apps/3/events"
CHANNELS = "/apps/3/channels"
BODY = b'{"name":"n","channel":"news","data":"d"}'
TRIGGER = request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY)
BATCH_BODY = b'{"batch":[{"name":"n","channel":"news","data":"1"},{"name":"n","channel":"more","data":"2"}]}'
BATCH = request_bytes("POST", signed_target("POST", "/apps/3/batch_events", (), BATCH_BODY), BATCH_BODY)
QUERY = request_bytes("GET", signed_target("GET", CHANNELS))
UNSIGNED = request_bytes("GET", CHANNELS)
INFO_BODY = b'{"name":"n","channel":"news","data":"d","info":"subscription_count"}'
INFO = request_bytes("POST", signed_target("POST", EVENTS, (), INFO_BODY), INFO_BODY)


def head(*lines: bytes, line: bytes = b"POST /apps/3/events HTTP/1.1") -> bytes:
    """Write the head of a request with these header lines."""
    return b"\r\n".join((line, b"Host: localhost", *lines, b"", b""))


class ChoiceTests(ApiTestCase):
    """Which requests take the lean way."""

    def setUp(self) -> None:
        """Note what twisted.web is asked."""
        super().setUp()
        self.asked: list[bytes] = []
        find = ApiSite.getResourceFor

        def note(site: ApiSite, request: object) -> object:
            self.asked.append(request.uri)  # type: ignore[attr-defined]
            return find(site, request)

        self.patch(ApiSite, "getResourceFor", note)

    def assert_way(self, request: bytes, status: int, *, lean: bool) -> None:
        """Check which way a request takes."""
        self.asked.clear()
        self.assertEqual(self.ask(request).status, status)
        self.assertEqual(not self.asked, lean, request)

    def write_by(self, write: Callable[[ITransport, bytes], object]) -> None:
        """Have connections written to in this way."""
        assert isinstance(self.site, LeanSite)
        self.site.write = write

    def test_plain(self) -> None:
        """Lean: every GET or POST with a plain head is, whatever it is answered."""
        for request, status in (
            (TRIGGER, 200),
            (BATCH, 200),
            (QUERY, 200),
            (UNSIGNED, 401),
            (request_bytes("GET", "/"), 404),
            (request_bytes("POST", CHANNELS, b"{}"), 405),
            (request_bytes("POST", EVENTS), 401),
            (request_bytes("POST", EVENTS, b"x", Connection="Keep-Alive", Accept="*/*", X_Pusher_Library="x 1"), 401),
        ):
            self.assert_way(request, status, lean=True)

    def test_other(self) -> None:
        """Lean: a request that is to be read or answered in another way is left to twisted.web."""
        for request, status in (
            (request_bytes("PUT", EVENTS), 405),
            (request_bytes("GET", CHANNELS, Connection="close"), 401),
            (request_bytes("GET", CHANNELS, Connection="Upgrade", Upgrade="websocket"), 401),
            (request_bytes("GET", CHANNELS, Connection="keep-alive, close"), 401),
            (head(b"Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n", 401),
            (head(b"Transfer-Encoding: identity", b"Content-Length: 1") + b"x", 401),
            (UNSIGNED.replace(b"HTTP/1.1", b"HTTP/1.0"), 401),
            (head(b"X: a", b" folded"), 401),
            (head(b"X: " + b"x" * HEAD_BYTES), 401),
            (head(b"Content-Length: %d" % REQUEST_BYTES) + b"x" * REQUEST_BYTES, 401),
        ):
            self.assert_way(request, status, lean=False)

    def test_expect(self) -> None:
        """Lean: who waits for leave to send his body gets it from twisted.web."""
        connection = self.connect()
        connection.say(head(b"Expect: 100-continue", b"Content-Length: 1"))
        connection.transport.clear()
        connection.say(b"x")
        self.assertEqual([response.status for response in connection.read()], [401])
        self.assertEqual(len(self.asked), 1)

    def test_one_after_the_other(self) -> None:
        """Lean: a request twisted.web answers changes nothing for the next one."""
        connection = self.connect()
        for request in (TRIGGER, head(b"X: a", b" b"), TRIGGER, head(b"Expect: x"), QUERY + BATCH):
            connection.say(request)
        self.assertEqual([response.status for response in connection.read()], [200, 401, 200, 401, 200, 200])
        self.assertEqual(len(self.asked), 2)

    def test_body_in_pieces(self) -> None:
        """Lean: a body may come later than its head, as Python's SDK sends it, and in pieces."""
        connection = self.connect()
        at = TRIGGER.index(b"\r\n\r\n") + 4
        for _ in range(2):
            connection.say(TRIGGER[:at])
            connection.say(TRIGGER[at : at + 5])
            self.assertEqual(connection.read(), [])
            connection.say(TRIGGER[at + 5 :] + QUERY)
            self.assertEqual([response.status for response in connection.read()], [200, 200])
        self.assertEqual(self.asked, [])

    def test_one_write(self) -> None:
        """Lean: the answers of a reactor turn leave together."""
        written: list[bytes] = []
        self.write_by(lambda _, data: written.append(data))
        connection = self.connect()
        connection.say(TRIGGER + QUERY + UNSIGNED)
        self.assertEqual(len(written), 1)
        self.assertEqual(written[0].count(b"HTTP/1.1 "), 3)

    def test_order(self) -> None:
        """Lean: answers keep the order of their requests, whoever gives them."""
        connection = self.connect()
        connection.say(TRIGGER + QUERY.replace(b"Host", b"X: a\r\n b\r\nHost") + request_bytes("GET", "/") + TRIGGER)
        self.assertEqual([response.status for response in connection.read()], [200, 200, 404, 200])

    def test_a_broken_connection(self) -> None:
        """One bad client hurts itself at most: a connection that cannot be written to harms no other."""

        def write_to_others(transport: ITransport, data: bytes) -> None:
            if transport is first.transport:
                raise RuntimeError("broken")
            write(transport, data)

        self.write_by(write_to_others)
        first, second = self.connect(), self.connect()
        first.hear(TRIGGER)
        second.hear(TRIGGER)
        self.clock.advance(0)
        self.assertEqual([response.status for response in second.read()], [200])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_protocols(self) -> None:
        """TLS: HTTP/1.1 is offered, and nothing else."""
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])


class SlowTests(ApiTestCase):
    """Answers that take time. These tests pass over twisted.web alone, too."""

    def setUp(self) -> None:
        """Have nobody counted yet."""
        super().setUp()
        self.counts: list[Deferred[dict[str, Counts]]] = []
        self.cancelled = 0
        self.patch(self.registry, "counts", self.count)

    def count(self, *_: object) -> Deferred[dict[str, Counts]]:
        """Take time."""

        def cancel(_: object) -> None:
            self.cancelled += 1

        self.counts.append(Deferred(cancel))
        return self.counts[-1]

    def test_later(self) -> None:
        """Lean: an answer may take time; the event is sent once, at once."""
        listener, connection = self.listen("news"), self.connect()
        connection.say(INFO)
        self.assertEqual(listener.events(), [("news", "n", "d")])
        self.clock.advance(300)
        self.assertEqual(connection.read(), [])
        self.counts[0].callback({"news": Counts(7, 0)})
        (response,) = connection.read()
        self.assert_answered(response, {"channels": {"news": {"subscription_count": 7}}})
        self.assertEqual(listener.events(), [])
        self.assertFalse(connection.ended)

    def test_next(self) -> None:
        """HTTP: what comes behind a slow answer waits for it, and is answered in order."""
        connection = self.connect()
        connection.say(TRIGGER + INFO + TRIGGER)
        connection.say(UNSIGNED + INFO)
        connection.say(UNSIGNED)
        self.assertEqual([response.status for response in connection.read()], [200])
        self.counts[0].callback({"news": Counts(1, 0)})
        self.clock.advance(0)
        self.assertEqual([response.status for response in connection.read()], [200, 200, 401])
        self.counts[1].callback({"news": Counts(1, 0)})
        self.clock.advance(0)
        self.assertEqual([response.status for response in connection.read()], [200, 401])
        connection.say(TRIGGER)
        self.assertEqual([response.status for response in connection.read()], [200])

    def test_half_a_request(self) -> None:
        """HTTP: a request that began behind a slow answer ends when its body is there, whatever that looks like."""
        listener, connection = self.listen("news"), self.connect()
        connection.say(INFO)
        connection.say(head(b"Content-Length: %d" % len(TRIGGER)))
        self.counts[0].callback({"news": Counts(1, 0)})
        self.clock.advance(0)
        listener.received.clear()
        connection.say(TRIGGER)
        self.assertEqual([response.status for response in connection.read()], [200, 401])
        self.assertEqual(listener.events(), [])

    def test_fault(self) -> None:
        """One bad client hurts itself at most: a fault of ours that comes late is a 500, logged once."""
        connection = self.connect()
        connection.say(INFO)
        self.counts[0].errback(RuntimeError("the secret reason"))
        (response,) = connection.read()
        self.assert_refused(response, 500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_gone(self) -> None:
        """HTTP: when the caller goes, nobody waits for his answer any more."""
        connection = self.connect()
        connection.say(INFO)
        connection.leave()
        self.assertEqual(self.cancelled, 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_bounded(self) -> None:
        """Bounded: the connection is not read while much waits behind a slow answer."""
        connection = self.connect()
        connection.say(INFO)
        connection.say(UNSIGNED * 400)
        self.assertEqual(connection.transport.producerState, "paused")
        self.counts[0].callback({"news": Counts(1, 0)})
        self.clock.advance(0)
        self.assertEqual(connection.transport.producerState, "producing")
        self.assertEqual(len(connection.read()), 401)


class SlowTestsOverTwistedWeb(SlowTests):
    """The same, without the lean way."""

    def build_site(self, api: Api) -> ApiSite:
        """Let twisted.web read every request."""
        return ApiSite(api, self.clock)


class HeadTests(SynchronousTestCase):
    """What the head of a request tells."""

    def test_plain(self) -> None:
        """Lean: method, target, and where the body is."""
        found = read_head(TRIGGER)
        assert found is not None
        self.assertEqual((found.method, TRIGGER[found.body : found.end]), (b"POST", BODY))
        self.assertTrue(found.uri.startswith(b"/apps/3/events?auth_key="))
        self.assertIn(found.method, METHODS)

    def test_not_plain(self) -> None:
        """Lean: half a head, a body that is too long, another version, blanks and other targets are not plain."""
        for data in (
            b"",
            TRIGGER[: TRIGGER.index(b"\r\n\r\n") + 3],
            b"\r\n" + TRIGGER,
            TRIGGER.replace(b"POST ", b"POST  "),
            TRIGGER.replace(b" HTTP", b"  HTTP"),
            TRIGGER.replace(b"HTTP/1.1", b"HTTP/1.0"),
            TRIGGER.replace(b"HTTP/1.1", b"HTTP/2.0"),
            TRIGGER.replace(b" HTTP/1.1", b""),
            TRIGGER.replace(b"\r\n", b"\n"),
            TRIGGER.replace(b"POST", b"post"),
            TRIGGER.replace(b"/apps", b"http://localhost/apps", 1),
            head(line=b"GET * HTTP/1.1"),
            head(b"Content-Length: 1, 1"),
            head(b"Content-Length: 1", b"Content-Length: 1"),
            head(b"Content-Length: %d" % REQUEST_BYTES),
            head(b"Connection: close"),
            head(b"Connection: keep-alive", b"Connection: close"),
            head(b"Expect: 100-continue"),
            head(b"X: " + b"x" * HEAD_BYTES),
        ):
            self.assertIsNone(read_head(data), data)

    def test_other_headers(self) -> None:
        """Lean: what headers say is theirs alone; the same requests with others, in any order, are read anew."""
        lengths = (b"1", b"22", b"333")
        heads = [head(b"Content-Length: " + length) for length in lengths] * 2
        found = [read_head(each) for each in heads]
        self.assertEqual([each and each.end - each.body for each in found], [1, 22, 333] * 2)
        self.assertEqual([each and each.body for each in found], [len(each) for each in heads])

    def test_limits(self) -> None:
        """Lean: a head within its limit is within those of twisted.web."""
        self.assertLess(HEAD_BYTES, 16384)
        self.assertLessEqual(HEAD_BYTES // len(b"X:\r\n"), 500)


DATE = re.compile(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)")
"""The moment of an answer: twisted.web looks at the time of day itself, and the other way at the server's clock."""


class Side:
    """One of the two ways, with a node of its own.

    :param lean: which.
    """

    def __init__(self, *, lean: bool) -> None:
        self._clock = Clock()
        self._clock.advance(NOW)
        app = App(key=KEY, secret=SECRET)
        node = MemoryNode(app, clock=self._clock)
        api = Api(Apps([app]), node.registry, node.users, self._clock)
        self._site = LeanSite(api, self._clock, write) if lean else ApiSite(api, self._clock)
        self._published: list[object] = []
        node.registry.publish = lambda *event: self._published.append(event[1:])  # type: ignore[method-assign]

    def converse(self, pieces: Iterable[bytes]) -> tuple[object, ...]:
        """Say something, and tell everything that came of it."""
        self._published.clear()
        connection = Connection(self._site, self._clock)
        for piece in pieces:
            connection.say(piece)
        answered = DATE.sub(b"Date: now", connection.transport.value())
        ended = connection.ended
        if not ended:
            self._clock.advance(61)
        silent = connection.ended
        connection.leave()
        return answered, ended, silent, list(self._published)


ODD = (
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n" + TRIGGER,
    b"\r\n\r\n" + TRIGGER,
    TRIGGER + b"\r\n" + TRIGGER,
    TRIGGER + b"\r\n\r\n" + TRIGGER,
    b"GARBAGE",
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"BREW /apps/3/events HTTP/1.1\r\n\r\n",
    b"B@D / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1 \r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.2\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET * HTTP/1.1\r\n\r\n",
    b"POST * HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"GET http://localhost/apps/3/channels HTTP/1.1\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\n\r\n",
    b"GET /#a HTTP/1.1\r\n\r\n",
    b"GET /?#a HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET / HTTP/1.1\r\n\n",
    b"GET / HTTP/1.1\r\n\r\n" * 3,
    b"CONNECT localhost:1 HTTP/1.1\r\n\r\n",
    b"get /apps/3/channels HTTP/1.1\r\n\r\n",
    TRIGGER,
    TRIGGER * 3,
    TRIGGER + BATCH + QUERY + UNSIGNED,
    TRIGGER + b"GARBAGE\r\n\r\n" + TRIGGER,
    TRIGGER.replace(b"HTTP/1.1", b"HTTP/1.0") + TRIGGER,
    QUERY.replace(b"GET", b"HEAD") + QUERY,
    head() + TRIGGER,
    head(b"Content-Length: 0") + TRIGGER,
    head(b"Content-Length: 3") + b"abc" + TRIGGER,
    head(b"Content-Length: 2") + b"abc" + TRIGGER,
    head(b"Content-Length: 4") + b"abc",
    head(b"Content-Length:") + b"abc",
    head(b"Content-Length: ") + b"abc",
    head(b"Content-Length: x") + b"abc",
    head(b"Content-Length: -3") + b"abc",
    head(b"Content-Length: +3") + b"abc",
    head(b"Content-Length: 3.0") + b"abc",
    head(b"Content-Length: 0x3") + b"abc",
    head(b"Content-Length: 003") + b"abc" + TRIGGER,
    head(b"Content-Length: \t3 \t") + b"abc" + TRIGGER,
    head(b"Content-Length : 3") + b"abc",
    head(b"Content-Length: 3_0") + b"x" * 30,
    head(b"Content-Length: \xd9\xa3") + b"abc",
    head(b"Content-Length: 3", b"Content-Length: 3") + b"abc" + TRIGGER,
    head(b"Content-Length: 3", b"Content-Length: 4") + b"abcd" + TRIGGER,
    head(b"Content-Length: 3, 3") + b"abc" + TRIGGER,
    head(b"Content-Length: 3", b" 0") + b"abc" + TRIGGER,
    head(b"Content-Length: " + b"9" * 30) + b"abc" + TRIGGER,
    head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: chunked", b"Content-Length: 3") + b"0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: chunked") + b"3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: chunked") + b"x\r\nabc\r\n0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"X: a", b" Transfer-Encoding: chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"X: a\nTransfer-Encoding: chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"X: a\rTransfer-Encoding: chunked") + b"0\r\n\r\n" + TRIGGER,
    head(b"Expect: 100-continue", b"Content-Length: 3") + b"abc" + TRIGGER,
    head(b"Expect: nothing", b"Content-Length: 3") + b"abc" + TRIGGER,
    head(b"Connection: close") + TRIGGER,
    head(b"Connection: close", b"Content-Length: 3") + b"abc" + TRIGGER,
    head(b"Connection: CLOSE") + TRIGGER,
    head(b"Connection: keep-alive") + TRIGGER,
    head(b"Connection: keep-alive, close") + TRIGGER,
    head(b"Connection: keep-alive close") + TRIGGER,
    head(b"Connection: close", b"Connection: keep-alive") + TRIGGER,
    head(b"Connection: keep-alive", b"Connection: close") + TRIGGER,
    head(b"Connection:") + TRIGGER,
    head(b"Proxy-Connection: close") + TRIGGER,
    head(b"Connection: Upgrade", b"Upgrade: websocket") + TRIGGER,
    head(b"Upgrade: h2c") + TRIGGER,
    head(b"X") + TRIGGER,
    head(b": x") + TRIGGER,
    head(b" : x") + TRIGGER,
    head(b"X : x") + TRIGGER,
    head(b"X\xe9: x") + TRIGGER,
    head(b"X: \x00") + TRIGGER,
    head(b"X: \x01\x7f\x80\xff") + TRIGGER,
    head(b"X:") + TRIGGER,
    head(b"Cookie: a=b; c", b"Host: another") + TRIGGER,
    head(*[b"X: y"] * 250) + TRIGGER,
    head(*[b"a:"] * 499) + TRIGGER,
    head(*[b"a:"] * 500) + TRIGGER,
    head(*[b"X: " + b"y" * 1000] * 15) + TRIGGER,
    head(*[b"X: " + b"y" * 1000] * 17) + TRIGGER,
    head(b"X: " + b"y" * 16381) + TRIGGER,
    head(b"X: " + b"y" * 20000) + TRIGGER,
    head(line=b"GET /" + b"y" * 3000 + b" HTTP/1.1") + TRIGGER,
    head(line=b"GET /" + b"y" * 20000 + b" HTTP/1.1") + TRIGGER,
    head(b"Content-Length: 70000") + b"x" * 70000 + TRIGGER,
    head(b"Content-Length: 3000000") + b"x" * 3000000 + TRIGGER,
)
"""Conversations that a client may get wrong, or try on purpose; each is answered as over twisted.web alone."""

PARTS = (TRIGGER, BATCH, QUERY, UNSIGNED, *(conversation for conversation in ODD if len(conversation) < 4000))


def cuts(data: bytes) -> Iterator[Sequence[bytes]]:
    """Cut a conversation: not at all, in two everywhere, and byte by byte."""
    yield [data]
    if len(data) <= 1500:
        yield from ([data[:at], data[at:]] for at in range(1, len(data)))
        yield [data[at : at + 1] for at in range(len(data))]


class SameTests(SynchronousTestCase):
    """The same bytes, cut in the same places, over both ways: answers, ends, silence and events are the same."""

    def setUp(self) -> None:
        """Serve both ways."""
        self.sides = [Side(lean=lean) for lean in (True, False)]

    def assert_same(self, pieces: Sequence[bytes]) -> None:
        """Check that the two cannot be told apart."""
        lean, twisted_web = (side.converse(pieces) for side in self.sides)
        self.assertEqual(lean, twisted_web, pieces if len(pieces) < 9 else b"".join(pieces)[:300])

    def test_odd(self) -> None:
        """HTTP: bad methods, versions, lengths and headers, smuggling, pipelining and half requests, cut anyhow."""
        for conversation in ODD:
            for pieces in cuts(conversation):
                self.assert_same(pieces)

    def test_hidden(self) -> None:
        """HTTP: what looks like a request in the body or the head of another one is none."""
        odd = head(b"X: a", b" folded")
        for start in (
            head(b"Content-Length: %d" % len(TRIGGER)),
            odd + head(b"Content-Length: %d" % len(TRIGGER)),
            odd + head(b"Transfer-Encoding: chunked") + b"%x\r\n" % len(TRIGGER),
            odd + b"POST / HTTP/1.1\r\nX: ",
            odd + b"POST / HTTP/1.1\r\n",
            odd + b"POST ",
            odd + TRIGGER[:-5],
            TRIGGER + b"POST / HTTP/1.1\r\nX: ",
        ):
            for rest in ([TRIGGER], [TRIGGER, TRIGGER], [TRIGGER, b"\r\n0\r\n\r\n", TRIGGER]):
                self.assert_same([start, *rest])
                self.assert_same([b"".join([start, *rest])])

    def test_every_byte(self) -> None:
        """HTTP: any byte in any part of a head."""
        for byte in (bytes([number]) for number in range(256)):
            for request in (
                head(b"X" + byte + b"Y: z") + TRIGGER,
                head(b"X: y" + byte + b"z") + TRIGGER,
                head(b"X: y" + byte) + TRIGGER,
                head(b"Content-Length: 3" + byte) + b"abc" + TRIGGER,
                head(b"Content-Length:" + byte + b"3") + b"abc" + TRIGGER,
                head(b"Connection: keep-alive" + byte) + TRIGGER,
                head(b"Connection: close" + byte) + TRIGGER,
                head(line=b"GET /apps" + byte + b"/3 HTTP/1.1") + TRIGGER,
                head(line=b"GET" + byte + b"/ HTTP/1.1") + TRIGGER,
                head(line=b"GET /" + byte + b"HTTP/1.1") + TRIGGER,
                head(line=b"GET / HTTP/1.1" + byte) + TRIGGER,
                head(line=b"GET / HTTP/1." + byte) + TRIGGER,
                TRIGGER + byte + TRIGGER,
                TRIGGER.replace(b"?", b"?" + byte + b"=&"),
            ):
                self.assert_same([request])

    @settings(max_examples=500, deadline=None)
    @given(st.data())
    def test_any(self, data: st.DataObject) -> None:
        """HTTP: any requests in a row, changed in any places, cut in any places."""
        conversation = b"".join(data.draw(st.lists(st.sampled_from(PARTS), max_size=4)))
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(conversation)))
            gone = data.draw(st.sampled_from((0, 0, 1, 2, 20)))
            put = data.draw(st.binary(max_size=3) | st.sampled_from((b"\r\n", b"\r\n\r\n", b"\n", b" ", b": ", b"0")))
            conversation = conversation[:at] + put + conversation[at + gone :]
        places = sorted(data.draw(st.lists(st.integers(0, len(conversation)), max_size=4)))
        self.assert_same(
            [conversation[start:end] for start, end in zip([0, *places], [*places, len(conversation)], strict=True)]
        )
