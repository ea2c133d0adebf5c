"""HTTP around the API: methods, headers, connections, bodies, and bytes that are none of these."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.web.http import HTTPChannel

from slanger.api.site import PATIENCE_BYTES, UNSIGNED_BYTES
from slanger.protocol.names import REQUEST_BODY_BYTES
from tests.api.requests import ApiTestCase, request_bytes, signed_target
from tests.builders import LIMITS

EVENTS = "/apps/3/events"
BATCH_EVENTS = "/apps/3/batch_events"
TERMINATE = "/apps/3/users/1/terminate_connections"
CHANNELS = "/apps/3/channels"
Write = Callable[[bytes], None]
BODY = b'{"name":"n","channel":"news","data":"d"}'
BOTH_WAYS = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
"""The same properties hold over twisted.web alone: two classes run them, on purpose."""


class AnswerTests(ApiTestCase):
    """Statuses, headers and methods."""

    def test_json(self) -> None:
        """Status codes: success is a 200 with a JSON object and its exact length; never 202, never an empty body."""
        for response in (self.get(CHANNELS), self.post(EVENTS, BODY), self.get(f"{CHANNELS}/a")):
            self.assertEqual(response.status, 200)
            self.assertEqual(response.headers["content-type"], "application/json")
            self.assertEqual(response.headers["content-length"], str(len(response.body)))
            self.assertIs(type(response.json), dict)

    def test_errors(self) -> None:
        """Status codes: an error is plain text of the exact length, ending in a newline."""
        for response in (self.ask(request_bytes("GET", "/")), self.ask(request_bytes("GET", CHANNELS))):
            self.assert_refused(response, response.status)
            self.assertEqual(response.headers["content-length"], str(len(response.body)))

    def test_unknown_paths(self) -> None:
        """Status codes: any other path is a 404, in constant words, whatever the method."""
        for path in (
            "/",
            "/apps",
            "/apps/3",
            "/apps/3/",
            "/apps/3/events/x",
            "/apps/3/channels/a/b",
            "/Apps/3/channels",
            "/x/apps/3/channels",
            "/apps/3/channels/a/users/x",
            "/apps/3/batch_events/x",
            "/apps/3/users/1",
            "/users/1",
            "/apps/3/users/1/2/terminate_connections",
            "/favicon.ico",
            "/../etc/passwd",
            "/%00",
            "//apps/3/channels",
            "/%FF",
        ):
            for method in ("GET", "POST", "PUT"):
                self.assert_refused(self.ask(request_bytes(method, path)), 404, "404 NOT FOUND")

    def test_methods(self) -> None:
        """Status codes: a method a path does not take is a 405 that says which it takes."""
        for path, allowed, others in (
            (EVENTS, "POST", ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "RENDER", "__INIT__")),
            (CHANNELS, "GET", ("POST", "PUT", "DELETE", "OPTIONS")),
            (f"{CHANNELS}/news", "GET", ("POST", "PUT", "DELETE")),
            (f"{CHANNELS}/presence-a/users", "GET", ("POST", "DELETE")),
            (f"{CHANNELS}/news/events", "POST", ("GET",)),
            (BATCH_EVENTS, "POST", ("GET", "PUT")),
            (TERMINATE, "POST", ("GET", "DELETE")),
            ("/users/1/terminate_connections", "POST", ("GET", "DELETE")),
        ):
            for method in others:
                response = self.ask(request_bytes(method, path))
                self.assert_refused(response, 405)
                self.assertIn(allowed, response.headers["allow"].split(", "))
                self.assertNotIn(method, response.headers["allow"].split(", "))

    def test_head(self) -> None:
        """Methods: HEAD is GET without the body, errors included."""
        response = self.ask(request_bytes("HEAD", signed_target("HEAD", CHANNELS)), head=True)
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertEqual(response.headers["content-length"], str(len(b'{"channels":{}}')))
        for path, status in ((CHANNELS, 401), ("/", 404), (EVENTS, 405)):
            self.assertEqual(self.ask(request_bytes("HEAD", path), head=True).status, status)

    def test_quiet_about_itself(self) -> None:
        """Answers: they do not tell which server this is."""
        for response in (self.get(CHANNELS), self.ask(request_bytes("GET", "/"))):
            self.assertNotIn("server", response.headers)

    def test_internal_fault(self) -> None:
        """One bad client hurts itself at most: a fault of ours is a 500 without any detail, logged once."""

        def broken(*_: object) -> None:
            raise RuntimeError("the secret reason")

        self.patch(self.registry, "publish", broken)
        response = self.post(EVENTS, BODY)
        self.assert_refused(response, 500)
        self.assertNotIn("reason", response.text)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ConnectionTests(ApiTestCase):
    """Connections and bodies."""

    def test_keep_alive(self) -> None:
        """HTTP: a connection carries one request after the other, also after errors."""
        connection = self.connect()
        for request, status in (
            (request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY), 200),
            (request_bytes("GET", "/"), 404),
            (request_bytes("POST", signed_target("POST", EVENTS, (), b"["), b"["), 400),
            (request_bytes("GET", signed_target("GET", CHANNELS)), 200),
        ):
            connection.say(request)
            (response,) = connection.read()
            self.assertEqual(response.status, status)
        self.assertFalse(connection.ended)

    def test_pipelined(self) -> None:
        """HTTP: requests in one read are answered in order."""
        connection = self.connect()
        connection.say(
            request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY)
            + request_bytes("GET", "/")
            + request_bytes("GET", signed_target("GET", CHANNELS))
        )
        self.clock.advance(0)
        self.assertEqual([response.status for response in connection.read()], [200, 404, 200])

    def test_close(self) -> None:
        """HTTP: with `Connection: close` the connection ends after the answer."""
        connection = self.connect()
        connection.say(request_bytes("GET", signed_target("GET", CHANNELS), Connection="close"))
        self.assertEqual(connection.read()[0].status, 200)
        self.assertTrue(connection.ended)

    def test_after_close(self) -> None:
        """HTTP: what comes after `Connection: close` is not looked at."""
        listener, connection = self.listen("news"), self.connect()
        connection.say(request_bytes("GET", "/", Connection="close"))
        connection.transport.clear()
        connection.hear(request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY))
        self.clock.advance(0)
        self.assertEqual(connection.read(), [])
        self.assertEqual(listener.events(), [])

    def test_after_silence(self) -> None:
        """HTTP: what comes when a connection was given up for its silence is not looked at."""
        listener, connection = self.listen("news"), self.connect()
        self.clock.advance(61)
        connection.hear(request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY))
        self.clock.advance(0)
        self.assertEqual(connection.read(), [])
        self.assertEqual(listener.events(), [])

    def test_cut_in_pieces(self) -> None:
        """HTTP: a request may come byte by byte."""
        listener = self.listen("news")
        connection = self.connect()
        for byte in request_bytes("POST", signed_target("POST", EVENTS, (), BODY), BODY):
            self.assertEqual(connection.read(), [])
            connection.say(bytes([byte]))
        self.assertEqual([response.status for response in connection.read()], [200])
        self.assertEqual(len(listener.received), 1)

    def test_chunked(self) -> None:
        """HTTP: a body may come in chunks, whose length nobody knows in advance."""
        listener = self.listen("news")
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:6], BODY[6:]))
        head = request_bytes("POST", signed_target("POST", EVENTS, (), BODY), Transfer_Encoding="chunked")
        self.assert_answered(self.ask(head + chunks + b"0\r\n\r\n"), {})
        self.assertEqual(len(listener.received), 1)

    def test_silence(self) -> None:
        """Bounded: a connection that says nothing more is ended."""
        connection = self.connect()
        connection.say(b"GET /apps")
        self.clock.pump([1.0] * 61)
        self.assertTrue(connection.ended)

    def test_slow_but_alive(self) -> None:
        """Bounded: a connection stays as long as a request comes every minute, and takes less than half of one."""
        connection = self.connect()
        request = request_bytes("POST", EVENTS, b"slow")
        for piece in (request, request[:-3], request[-3:-2], request[-2:], request):
            connection.say(piece)
            self.clock.advance(59 if piece is request else 14)
        self.assertEqual([response.status for response in connection.read()], [401, 401, 401])
        self.assertFalse(connection.ended)
        self.clock.advance(2)
        self.assertTrue(connection.ended)

    def test_drop_by_drop(self) -> None:
        """Bounded: a request that comes byte by byte, however steadily, is refused when its time is over."""
        for whole in (request_bytes("POST", EVENTS, b"slow"), b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20):
            connection = self.connect()
            for at in range(LIMITS.request_timeout):
                self.assertFalse(connection.ended)
                connection.say(whole[at : at + 1])
                self.clock.advance(1)
            self.assertTrue(connection.ended)
            (response,) = connection.read()
            self.assert_refused(response, 408)
            self.assertEqual(self.node.tallies.connections_cut["request_timeout",], 1)
            self.node.tallies.connections_cut.clear()

    def test_body_drop_by_drop(self) -> None:
        """Bounded: so is a request whose head is there at once, and whose body is not."""
        whole = request_bytes("POST", EVENTS, b"s" * 100)
        connection = self.connect()
        connection.say(whole[:-90])
        for at in range(LIMITS.request_timeout):
            self.assertFalse(connection.ended)
            connection.say(whole[at - 90 : at - 89])
            self.clock.advance(1)
        self.assert_refused(connection.read()[0], 408)
        self.assertTrue(connection.ended)

    def test_never_ending(self) -> None:
        """Bounded: requests that follow each other in one stream each have their own time, whole or in part."""
        connection = self.connect()
        request = request_bytes("POST", EVENTS, b"slow")
        stream = request * 30
        for at in range(0, len(stream), len(request) - 1):
            connection.say(stream[at : at + len(request) - 1])
            self.clock.advance(3)
        connection.say(stream[at + len(request) - 1 :])
        self.assertEqual([response.status for response in connection.read()], [401] * 30)
        self.assertFalse(connection.ended)

    def test_large_body(self) -> None:
        """Bounded: a body above 1 MiB is a 413; its bytes are not kept."""
        connection = self.connect()
        size = 8 * REQUEST_BODY_BYTES
        connection.say(request_bytes("POST", signed_target("POST", EVENTS), Content_Length=str(size)))
        for _ in range(size // 65536 - 1):
            connection.say(b"x" * 65536)
        self.assertLessEqual(connection.body_bytes_kept(), REQUEST_BODY_BYTES + 1)
        self.assertEqual(connection.read(), [])
        connection.say(b"x" * 65536)
        (response,) = connection.read()
        self.assert_refused(response, 413)
        self.assertFalse(connection.ended)

    def test_large_body_in_chunks(self) -> None:
        """Bounded: a chunked body above 1 MiB is a 413 too."""
        connection = self.connect()
        connection.say(request_bytes("POST", signed_target("POST", EVENTS), Transfer_Encoding="chunked"))
        for _ in range(2 * REQUEST_BODY_BYTES // 65536):
            connection.say(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        connection.say(b"0\r\n\r\n")
        (response,) = connection.read()
        self.assert_refused(response, 413)

    def test_large_body_of_strangers(self) -> None:
        """Bounded: of a body whose request is not signed little is kept, so that strangers cannot fill the memory."""
        wrong = signed_target("POST", EVENTS, secret="wrong")
        for path, status in ((EVENTS, 401), (wrong, 401), ("/nowhere", 404), ("/health", 405)):
            for head, chunk in (
                (request_bytes("POST", path, Content_Length=str(8 * 65536)), b"x" * 65536),
                (request_bytes("POST", path, Transfer_Encoding="chunked"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
            ):
                connection = self.connect()
                connection.say(head)
                for _ in range(8):
                    self.assertLessEqual(connection.body_bytes_kept(), UNSIGNED_BYTES)
                    connection.say(chunk)
                if b"chunked" in head:
                    connection.say(b"0\r\n\r\n")
                (response,) = connection.read()
                self.assert_refused(response, status)
                self.assertFalse(connection.ended)

    def test_no_reader(self) -> None:
        """Bounded: from a client that does not read nothing is read, whichever way its requests go, until it does."""
        for request in (request_bytes("GET", "/"), request_bytes("GET", "/", Origin="https://example.com")):
            connection = self.connect()
            transport = connection.transport
            write = transport.write

            def fill(data: bytes, transport: StringTransport = transport, write: Write = write) -> None:
                """Take bytes, and have no room for others."""
                write(data)
                transport.producer.pauseProducing()  # type: ignore[union-attr]

            transport.write = fill  # type: ignore[method-assign]
            connection.say(request * 3)
            self.assertEqual(transport.producerState, "paused", request)
            transport.producer.resumeProducing()  # type: ignore[union-attr]
            self.assertEqual(transport.producerState, "producing", request)
            self.assertEqual([response.status for response in connection.read()], [404] * 3)

    def test_no_reader_of_the_last(self) -> None:
        """Bounded: a client that does not read the answer its connection ends with is dropped after a while."""
        connection = self.connect()
        self.patch(connection.transport, "unregisterProducer", lambda: None)  # real ones do it twice if need be
        connection.say(request_bytes("GET", "/", Connection="close"))
        self.clock.advance(LIMITS.keep_alive)
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(HTTPChannel.abortTimeout)
        self.assertTrue(connection.transport.disconnected)

    def test_endless_length(self) -> None:
        """One bad client hurts itself at most: a length of more digits than Python reads is a 400."""
        for digits in (4301, 10_000):
            connection = self.connect()
            connection.say(request_bytes("POST", EVENTS, Content_Length="9" * digits))
            (response,) = connection.read()
            self.assert_refused(response, 400)
            self.assertTrue(connection.ended)

    def test_fault(self) -> None:
        """One bad client hurts itself at most: a fault of ours ends its connection, and is logged."""
        self.patch(HTTPChannel, "lineReceived", lambda *_: 1 // 0)
        connection = self.connect()
        connection.say(request_bytes("GET", CHANNELS, Connection="close"))
        self.assertTrue(connection.ended)
        self.assertEqual(connection.read(), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_huge_body(self) -> None:
        """Bounded: a body without end is not waited for: its sender is hung up on."""
        for head, chunk in (
            (request_bytes("POST", EVENTS, Content_Length=str(10**12)), b"x" * 65536),
            (request_bytes("POST", EVENTS, Transfer_Encoding="chunked"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        ):
            connection = self.connect()
            connection.say(head)
            said = 0
            while not connection.ended and said <= REQUEST_BODY_BYTES + PATIENCE_BYTES:
                connection.say(chunk)
                said += 65536
            self.assertTrue(connection.ended)

    def test_expect(self) -> None:
        """HTTP: who asks for leave to send its body (curl, .NET) gets it."""
        connection = self.connect()
        target = signed_target("POST", EVENTS, (), BODY)
        connection.say(request_bytes("POST", target, Expect="100-continue", Content_Length=str(len(BODY))))
        self.assertEqual(connection.transport.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.transport.clear()
        connection.say(BODY)
        self.assert_answered(connection.read()[0], {})

    def test_gone_before_the_answer(self) -> None:
        """HTTP: a caller that hangs up half way harms nobody."""
        connection = self.connect()
        connection.say(request_bytes("POST", EVENTS, Content_Length="100") + b"half")
        connection.leave()
        self.assert_answered(self.get(CHANNELS), {"channels": {}})


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PARAMETER = st.sampled_from(("name", "data", "channel", "channels", "socket_id", "info"))
LIKELY = st.sampled_from(("n", "news", "presence-a", "1.1", "user_count", "", "pusher:x")) | ANY_JSON
TRIGGER = st.dictionaries(PARAMETER, LIKELY | st.lists(LIKELY, max_size=3), max_size=6)
ITEM = st.fixed_dictionaries(
    {"name": LIKELY, "channel": LIKELY, "data": st.text(max_size=5) | LIKELY},
    optional={"socket_id": LIKELY, "info": LIKELY},
)
BATCH = st.fixed_dictionaries({"batch": st.lists(ITEM | TRIGGER | ANY_JSON, max_size=12) | ANY_JSON})
HTTP = st.sampled_from(
    (
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"/apps/3/",
        b"channels",
        b"events",
        b"?auth_key=",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Host: a",
        b"%",
        b"&",
        b"=",
        b"*",
        b"http://a/",
    )
)


class PropertyTests(ApiTestCase):
    """Whatever comes, there is no 500, and no traceback."""

    def assert_harmless(self, received: bytes) -> None:
        """Check an answer to anything, and that the next request works."""
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertNotIn(b"Traceback", received)
        self.assertNotRegex(received, rb"\AHTTP/1\.[01] 5")
        self.assertNotIn(b"<html", received.lower())
        self.assert_answered(self.get(CHANNELS), {"channels": {}})

    @settings(BOTH_WAYS, max_examples=150)
    @given(st.binary(max_size=200) | st.lists(HTTP | st.binary(max_size=8), max_size=14).map(b"".join))
    def test_any_bytes(self, received: bytes) -> None:
        """One bad client hurts itself at most: any bytes on the port harm nobody."""
        connection = self.connect()
        for piece in (received, b"\r\n\r\n", b"0\r\n\r\n"):
            connection.say(piece)
        self.assert_harmless(connection.transport.value())

    @settings(BOTH_WAYS, max_examples=150)
    @given(TRIGGER | ANY_JSON)
    def test_any_json(self, body: object) -> None:
        """One bad client hurts itself at most: any JSON with a right signature is a 200, a 400 or a 413."""
        content = json.dumps(body).encode()
        response = self.post(EVENTS, content)
        self.assertIn(response.status, (200, 400, 413))
        self.assertIs(type(response.json) if response.status == 200 else dict, dict)
        self.assert_harmless(b"")

    @settings(BOTH_WAYS, max_examples=150)
    @given(BATCH | TRIGGER | ANY_JSON)
    def test_any_batch(self, body: object) -> None:
        """Batch: any JSON is a 200, a 400 or a 413, and every event is sent if it is a 200, or else none."""
        published: list[str] = []
        self.patch(self.registry, "publish", lambda app, channel, *_: published.append(channel))
        response = self.post(BATCH_EVENTS, json.dumps(body).encode())
        self.assertIn(response.status, (200, 400, 413))
        sent = len(published)
        if response.status == 200:
            assert isinstance(body, dict)
            self.assertEqual(sent, len(body["batch"]))
            self.assertIn(len(response.json.get("batch", ())), (0, sent))
        else:
            self.assert_refused(response, response.status)
            self.assertEqual(sent, 0)
        self.assert_harmless(b"")

    @settings(BOTH_WAYS, max_examples=100)
    @given(st.binary(max_size=60))
    def test_any_signed_bytes(self, body: bytes) -> None:
        """One bad client hurts itself at most: any bytes with a right signature are a 400."""
        self.assert_refused(self.post(EVENTS, body), 400)
        self.assert_refused(self.post(BATCH_EVENTS, body), 400)
        self.assert_harmless(b"")

    @settings(BOTH_WAYS, max_examples=60)
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), st.binary(max_size=30))
    def test_any_user(self, user_id: str, body: bytes) -> None:
        """Terminating user connections: any user id, percent-encoded, and any body are a 200, or else a 400 or 404."""
        response = self.post(f"/apps/3/users/{user_id}/terminate_connections", body)
        self.assertIn(response.status, (404,) if "/" in user_id else (200, 400))
        self.assert_harmless(b"")

    @settings(BOTH_WAYS, max_examples=100)
    @given(st.lists(st.tuples(PARAMETER | st.text(max_size=6), st.text(max_size=12)), max_size=5))
    def test_any_query(self, parameters: list[tuple[str, str]]) -> None:
        """One bad client hurts itself at most: any signed parameters are a 200 or a 400."""
        for path in (CHANNELS, f"{CHANNELS}/presence-a", f"{CHANNELS}/presence-a/users"):
            self.assertIn(self.get(path, *parameters).status, (200, 400))
        self.assertIn(self.post(EVENTS, b"", *parameters).status, (200, 400))
        self.assert_harmless(b"")
