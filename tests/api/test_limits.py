"""What the API refuses because it is too much, and to whom it lets answers be shown."""

from __future__ import annotations

from slanger.domain.apps import App
from tests.api.requests import ApiTestCase, Response, request_bytes, signed_target
from tests.server import KEY, SECRET

EVENTS = "/apps/3/events"
CHANNELS = "/apps/3/channels"
EVENT = {"name": "n", "channel": "news", "data": "1"}
PAGE = "https://admin.example"


class RequestRateTests(ApiTestCase):
    """Requests per second."""

    def test_rate(self) -> None:
        """Requests per second: what is too much is a 429 that says when to come back, and sends nothing."""
        self.serve(App(key=KEY, secret=SECRET, requests_per_second=3))
        listener = self.listen("news")
        responses = [self.post(EVENTS, EVENT) for _ in range(5)]
        self.assertEqual([response.status for response in responses], [200, 200, 200, 429, 429])
        self.assert_refused(responses[3], 429, "Too many requests: this app may send 3 per second")
        self.assertEqual(responses[3].headers["retry-after"], "1")
        self.assertEqual(len(listener.events()), 3)
        self.assertEqual(self.node.tallies.requests_refused, {("429",): 2})
        self.clock.advance(1)
        self.assert_answered(self.post(EVENTS, EVENT), {})

    def test_unsigned(self) -> None:
        """Requests per second: whoever does not know the secret uses up nothing of it."""
        self.serve(App(key=KEY, secret=SECRET, requests_per_second=2))
        for _ in range(20):
            self.assertEqual(self.ask(request_bytes("GET", CHANNELS)).status, 401)
        self.assert_answered(self.post(EVENTS, EVENT), {})
        self.assertEqual(self.node.tallies.requests_refused, {("401",): 20})


class SizeTests(ApiTestCase):
    """Sizes that are settings."""

    def test_head(self) -> None:
        """Header bytes: a head that is longer is refused, in one line of plain text; one that fits is not."""
        self.serve(self.app, header_bytes=1000)
        target = signed_target("GET", CHANNELS, timestamp=self.now)
        fits = request_bytes("GET", target, X=500 * "x")
        self.assert_answered(self.ask(fits), {"channels": {}})
        self.assert_refused(self.ask(request_bytes("GET", target, X=1000 * "x")), 400)
        self.assert_refused(self.ask(request_bytes("GET", target, b"", **{f"X{n}": 30 * "x" for n in range(40)})), 400)

    def test_event_name(self) -> None:
        """Event name: its length is a setting of the app."""
        self.serve(App(key=KEY, secret=SECRET, event_name_length=5))
        self.assert_answered(self.post(EVENTS, {**EVENT, "name": "n" * 5}), {})
        self.assert_refused(
            self.post(EVENTS, {**EVENT, "name": "n" * 6}),
            400,
            "Invalid event name: 6 characters, at most 5 are allowed",
        )


class CorsTests(ApiTestCase):
    """Web pages that read answers."""

    def ask_from(self, origin: str, method: str = "GET", **headers: str) -> Response:
        """Ask as a browser does for a page."""
        target = signed_target(method, CHANNELS, timestamp=self.now)
        return self.ask(request_bytes(method, target, b"", Origin=origin, **headers))

    def preflight(self, origin: str) -> Response:
        """Ask as a browser does before a POST."""
        return self.ask(
            b"OPTIONS /apps/3/events HTTP/1.1\r\nHost: a\r\nOrigin: " + origin.encode() + b"\r\n"
            b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
        )

    def assert_not_shared(self, response: Response) -> None:
        """Check that a browser keeps an answer to itself."""
        self.assertEqual([name for name in response.headers if name.startswith("access-control")], [])

    def test_off(self) -> None:
        """CORS: it is off by default; no page may read an answer, and a preflight is refused."""
        response = self.ask_from(PAGE)
        self.assertEqual(response.status, 200)
        self.assert_not_shared(response)
        response = self.ask(b"OPTIONS /apps/3/events HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n")
        self.assertEqual(response.status, 405)
        self.assert_not_shared(response)

    def test_listed(self) -> None:
        """CORS: pages of a listed origin may read answers, errors too; others may not."""
        self.serve(self.app, cors=(PAGE,))
        response = self.ask_from(PAGE)
        self.assertEqual(response.json, {"channels": {}})
        self.assertEqual(response.headers["access-control-allow-origin"], PAGE)
        self.assertEqual(response.headers["vary"], "Origin")
        refused = self.ask(request_bytes("GET", CHANNELS, Origin=PAGE))
        self.assertEqual((refused.status, refused.headers["access-control-allow-origin"]), (401, PAGE))
        self.assert_not_shared(self.ask_from("https://evil.example"))
        self.assert_not_shared(self.get(CHANNELS))

    def test_preflight(self) -> None:
        """CORS: a browser that asks before it sends is told what it may."""
        self.serve(self.app, cors=("https://*.example",))
        response = self.preflight(PAGE)
        self.assertEqual((response.status, response.body), (200, b""))
        self.assertEqual(response.headers["access-control-allow-origin"], PAGE)
        self.assertIn("POST", response.headers["access-control-allow-methods"])
        self.assertIn("Content-Type", response.headers["access-control-allow-headers"])
        refused = self.preflight("https://evil.test")
        self.assertEqual(refused.status, 405)
        self.assert_not_shared(refused)


class DisclosureTests(ApiTestCase):
    """What answers tell about the server."""

    def test_headers(self) -> None:
        """Disclosure: no answer names the server or what it is made of, be it an error of twisted.web's own."""
        for request in (
            request_bytes("GET", signed_target("GET", CHANNELS, timestamp=self.now)),
            request_bytes("GET", CHANNELS),
            request_bytes("GET", "/nowhere"),
            request_bytes("BREW", CHANNELS),
            b"GARBAGE\r\n\r\n",
            b"GET / HTTP/1.1\r\nX\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
            b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        ):
            connection = self.connect()
            connection.say(request)
            answer = connection.transport.value()
            self.assertTrue(answer.startswith(b"HTTP/1.1 "), (request[:50], answer))
            for word in (b"twisted", b"server:", b"python", b"traceback", b"slanger", b"<html"):
                self.assertNotIn(word, answer.lower(), request[:50])
