"""Opening handshakes: URLs, versions, subprotocols, and what is refused."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Opcode

from slanger.domain.apps import App
from slanger.protocol.errors import ConnectionRefused
from slanger.transports.connection import key_in
from tests.builders import LIMITS
from tests.server import KEY, SECRET
from tests.transports.client import Client, WebSocketTestCase, close_of


class HandshakeTests(WebSocketTestCase):
    """What a client is let in with."""

    def assert_established(self, path: str) -> None:
        """Check that a path leads to a connection."""
        client = Client(self.clock, self.factory, path)
        self.assertEqual(client.shake_hands().status_code, 101, path)
        self.end_turn()
        self.assertEqual([each["event"] for each in client.messages()], ["pusher:connection_established"], path)
        client.leave()

    def assert_refused(self, path: str, code: int) -> str:
        """Check that a path leads to an error and a close, both in-band, and give the reason."""
        client = Client(self.clock, self.factory, path)
        self.assertEqual(client.shake_hands().status_code, 101, path)
        self.end_turn()
        frames = client.frames()
        self.assertEqual([frame.opcode for frame in frames], [Opcode.TEXT, Opcode.CLOSE], path)
        error = json.loads(bytes(frames[0].data))
        self.assertEqual(error["event"], "pusher:error")
        self.assertNotIn("channel", error)
        self.assertIs(type(error["data"]), dict)
        self.assertIs(type(error["data"]["code"]), int)
        self.assertEqual(error["data"]["code"], code)
        closed_with, reason = close_of(frames)
        self.assertEqual(closed_with, code)
        self.assertLessEqual(len(reason.encode()), 123)
        self.assertTrue(error["data"]["message"].startswith(reason) and reason, reason)
        return reason

    def test_established(self) -> None:
        """Connection: the first frame has a string as data, a socket id of two numbers, and a timeout above 0."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7&client=js&version=8.6.0&flash=false")
        client.shake_hands()
        self.end_turn()
        (established,) = client.messages()
        self.assertEqual(set(established), {"event", "data"})
        self.assertEqual(json.loads(established["data"]), {"socket_id": "1.2", "activity_timeout": 120})

    def test_versions(self) -> None:
        """Protocol versions: 4 to 7 and newer are welcome, a missing or an empty version is taken for 7."""
        for query in ("?protocol=4", "?protocol=5", "?protocol=6", "?protocol=7", "?protocol=8", "", "?protocol="):
            self.assert_established(f"/app/{KEY}{query}")

    def test_version_as_array(self) -> None:
        """Protocol versions: `protocol[]=7`, which brought Slanger down, is just an unknown parameter."""
        self.assert_established(f"/app/{KEY}?protocol[]=7")
        self.assert_established(f"/app/{KEY}?protocol%5B%5D=7")

    def test_old_versions(self) -> None:
        """Protocol versions: 1 to 3, and what is no integer, are refused with 4007."""
        for version in ("1", "2", "3", "0", "seven", "7.0", "-7", "%D9%A7", "7%00"):
            self.assert_refused(f"/app/{KEY}?protocol={version}", 4007)

    def test_path_prefix(self) -> None:
        """URL: a path prefix (`wsPath`) and a trailing slash make no difference."""
        for path in (f"/app/{KEY}/", f"/push/app/{KEY}", f"/a/b/app/{KEY}/?protocol=7"):
            self.assert_established(path)

    def test_encoded_key(self) -> None:
        """URL: a percent-encoded key is the same key."""
        self.assert_established(f"/app/%32{KEY[1:]}?protocol=7")

    def test_key_with_hyphen(self) -> None:
        """URL: any key that a path may hold will do; Slanger knew no hyphens."""
        for key, path in (
            ("my-own-key", "my-own-key"),
            ("a~b.c_d", "a~b.c_d"),
            ("a@b", "a%40b"),
            ("a@b", "a@b"),
        ):
            self.serve(App(key=key, secret=SECRET))
            self.assert_established(f"/app/{path}?protocol=7")

    def test_key_with_semicolon(self) -> None:
        """URL: a semicolon is a character of the key like any other."""
        self.serve(App(key="a;b", secret=SECRET))
        client = Client(self.clock, self.factory, "/app/a%3Bb?protocol=7")
        client.say(client.handshake.replace(b"a%3Bb", b"a;b"))
        self.end_turn()
        self.assertEqual([each["event"] for each in client.messages()], ["pusher:connection_established"])

    def test_unknown_key(self) -> None:
        """Close codes: an unknown key is told in an error object and in the close frame, code 4001."""
        self.assertIn("nosuchkey", self.assert_refused("/app/nosuchkey?protocol=7", 4001))

    def test_unknown_key_without_end(self) -> None:
        """Close codes: the reason is cut to what a close frame can hold, between characters."""
        reason = self.assert_refused("/app/" + "%C3%A9" * 300, 4001)
        self.assertGreater(len(reason.encode()), 120)

    def test_unknown_path(self) -> None:
        """Close codes: any other path is told in-band too, code 4005."""
        for path in ("/", "/app", "/app/", "/app//", f"/apps/{KEY}", f"/app/{KEY}/events", "/chat", f"/App/{KEY}"):
            self.assert_refused(path, 4005)

    def test_absolute_uri(self) -> None:
        """HTTP: a client may name the whole address in its request line."""
        client = Client(self.clock, self.factory, f"/app/{KEY}")
        client.say(client.handshake.replace(b"GET /app", b"GET http://localhost:8080/app"))
        self.end_turn()
        client.read()
        self.assertIn(b"connection_established", b"".join(client.transport.writes))

    def test_subprotocol_echoed(self) -> None:
        """WebSocket handshake: Swift's subprotocol comes back, in whatever version it is offered."""
        for offered in ("pusher-channels-protocol-7", "pusher-channels-protocol-12"):
            response = Client(self.clock, self.factory, f"/app/{KEY}", "other", offered).shake_hands()
            self.assertEqual(response.headers["Sec-WebSocket-Protocol"], offered)

    def test_subprotocol_not_offered(self) -> None:
        """WebSocket handshake: without an offer, or with a foreign one, no subprotocol is chosen."""
        for offered in ((), ("chat",), ("pusher",)):
            response = Client(self.clock, self.factory, f"/app/{KEY}", *offered).shake_hands()
            self.assertEqual(response.status_code, 101)
            self.assertNotIn("Sec-WebSocket-Protocol", response.headers)

    def test_subprotocol_with_refusal(self) -> None:
        """WebSocket handshake: a Swift client whose key is wrong gets the echo too, or it would not hear why."""
        response = Client(self.clock, self.factory, "/app/nosuchkey", "pusher-channels-protocol-7").shake_hands()
        self.assertEqual(response.headers["Sec-WebSocket-Protocol"], "pusher-channels-protocol-7")

    def test_foreign_origin(self) -> None:
        """WebSocket handshake: pages of any origin may connect, and those that have none of their own."""
        for origin in (b"https://shop.example", b"null", b"file://", b"capacitor://localhost", b"app://."):
            client = Client(self.clock, self.factory, f"/app/{KEY}")
            client.say(client.handshake.replace(b"Host:", b"Origin: " + origin + b"\r\nHost:"))
            self.end_turn()
            self.assertIn(b"101 Switching Protocols", client.transport.value(), origin)

    def test_cut_in_pieces(self) -> None:
        """HTTP: a handshake may come byte by byte."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        for byte in client.handshake:
            client.say(bytes([byte]))
        self.end_turn()
        self.assertEqual([each["event"] for each in client.messages()], ["pusher:connection_established"])

    def test_message_behind_handshake(self) -> None:
        """HTTP: a message in the same read as the handshake is answered after `connection_established`."""
        client = Client(self.clock, self.factory, f"/app/{KEY}?protocol=7")
        handshake = client.handshake
        client.say(handshake + b"\x81\x97\x00\x00\x00\x00" + b'{"event":"pusher:ping"}')
        self.end_turn()
        events = [each["event"] for each in client.messages()]
        self.assertEqual(events, ["pusher:connection_established", "pusher:pong"])


class PlainHttpTests(WebSocketTestCase):
    """What is no handshake."""

    def answer(self, request: bytes) -> bytes:
        """Send bytes, and give the answer; the connection must have ended."""
        client = Client(self.clock, self.factory, "/")
        client.say(request)
        self.clock.advance(0)
        self.assertTrue(client.transport.ended, request)
        answer: bytes = client.transport.value()
        return answer

    def test_without_upgrade(self) -> None:
        """WebSocket handshake: a plain GET is an HTTP error, and no page in HTML."""
        for path in (b"/", b"/app/" + KEY.encode()):
            answer = self.answer(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 426 "), answer)
            self.assertNotIn(b"<html", answer.lower())
            self.assertNotIn(b"Autobahn", answer)

    def test_garbage(self) -> None:
        """One bad client hurts itself at most: bytes that are no HTTP are an HTTP error and the end."""
        for request in (
            b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET\r\n\r\n",
        ):
            self.assertRegex(self.answer(request), rb"\AHTTP/1\.1 4\d\d ")

    def changed(self, old: bytes, new: bytes) -> bytes:
        """Write an opening handshake with something in another's place."""
        whole = self.handshake()
        self.assertIn(old, whole)
        return whole.replace(old, new)

    def handshake(self) -> bytes:
        """Write an opening handshake."""
        return Client(self.clock, self.factory, f"/app/{KEY}").handshake

    def assert_refused(self, status: int, told: str, request: bytes) -> bytes:
        """Check that a request is refused in one sentence of plain text, well-formed; give the head of the answer."""
        answer = self.answer(request)
        head, _, body = answer.partition(b"\r\n\r\n")
        phrase = HTTPStatus(status).phrase.encode()
        self.assertEqual(head.split(b"\r\n")[0], b"HTTP/1.1 %d %s" % (status, phrase), request)
        self.assertIn(b"\r\nContent-Type: text/plain; charset=utf-8\r\n", head)
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
        self.assertRegex(body.decode("ascii"), rf"\A[ -~]*{re.escape(told)}[ -~]*\n\Z")
        return head

    def test_other_versions(self) -> None:
        """RFC 6455, 4.2.2: a version that is missing, unknown or of a draft is a 426 that tells the one spoken."""
        for version in (b"8", b"7", b"0", b"14", b"13.0", b"x", b"", b"13, 8"):
            request = self.changed(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: " + version)
            head = self.assert_refused(426, "Sec-WebSocket-Version must be 13", request)
            self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n", head)
            self.assertIn(b"\r\nUpgrade: websocket\r\n", head)
        twice = self.changed(b"Host:", b"Sec-WebSocket-Version: 13\r\nHost:")
        self.assert_refused(426, "Sec-WebSocket-Version must be 13", twice)
        missing = self.changed(b"Sec-WebSocket-Version: 13", b"X: y")
        self.assert_refused(426, "it is missing", missing)

    def test_what_is_wrong(self) -> None:
        """RFC 6455, 4.2.1: what a handshake must have and has not, or has otherwise, is an HTTP error that says so."""
        for status, told, old, new in (
            (405, "POST", b"GET ", b"POST "),
            (405, "HEAD", b"GET ", b"HEAD "),
            (405, "get", b"GET ", b"get "),
            (505, "HTTP/1.0", b"HTTP/1.1", b"HTTP/1.0"),
            (505, "HTTP/2.0", b"HTTP/1.1", b"HTTP/2.0"),
            (400, "Bad HTTP request", b" HTTP/1.1", b""),
            (400, "fragment", b" HTTP/1.1", b"#top HTTP/1.1"),
            (426, "Upgrade", b"Upgrade: websocket", b"X: y"),
            (400, "websocket", b"Upgrade: websocket", b"Upgrade: h2c"),
            (400, "Connection", b"Connection: Upgrade", b"X: y"),
            (400, "upgrade", b"Connection: Upgrade", b"Connection: close"),
            (400, "Host", b"Host:", b"X:"),
            (400, "Host", b"Host:", b"Host: other\r\nHost:"),
            (400, "Sec-WebSocket-Key", b"Sec-WebSocket-Key:", b"X:"),
            (400, "Sec-WebSocket-Key", b"Host:", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nHost:"),
        ):
            self.assert_refused(status, told, self.changed(old, new))
        for wrong in (b"AAAA", b"A" * 24, b"AAAAAAAAAAAAAAAAAAAAA*==", b"A" * 40):
            whole = re.sub(rb"(Sec-WebSocket-Key: )\S+", rb"\1" + wrong, self.handshake())
            self.assert_refused(400, "Sec-WebSocket-Key", whole)

    def test_no_http(self) -> None:
        """RFC 9112: control characters, bare line ends, folded lines and nameless ones are refused, not guessed at."""
        for line in (
            b"X: a\0b",
            b"X\0: a",
            b"X: a\rb",
            b"X: a\nb",
            b"X: a\r\n b",
            b"X: a\r\n\tb",
            b"X : a",
            b": a",
            b"X",
        ):
            self.assert_refused(400, "not HTTP", self.changed(b"Host:", line + b"\r\nHost:"))
        for target in (b"/app\0/", b"/app/\r", b"/app/\x7f"):
            self.assert_refused(400, "not HTTP", self.changed(b"/app/", target))

    def test_any_case(self) -> None:
        """RFC 9110: the case of names makes no difference, nor does that of the words that are names."""
        for change in (bytes.lower, bytes.upper):
            whole = self.handshake()
            head = re.sub(
                rb"(?m)^(Host|Upgrade|Connection|Sec-WebSocket-\w+)(?=:)|(?<=: )(websocket|Upgrade)",
                lambda found, change=change: change(found[0]),  # type: ignore[misc]
                whole,
            )
            self.assertNotEqual(whole, head)
            client = Client(self.clock, self.factory, "/")
            client.say(head)
            self.clock.advance(0)
            self.assertIn(b"connection_established", client.transport.value())

    def test_doubled_headers(self) -> None:
        """RFC 9110: headers that are lists may come in several lines."""
        for line in (b"Connection: keep-alive", b"Upgrade: h2c", b"X: a\r\nX: b"):
            client = Client(self.clock, self.factory, "/")
            client.say(self.changed(b"Host:", line + b"\r\nHost:"))
            self.clock.advance(0)
            self.assertIn(b"connection_established", client.transport.value(), line)

    def test_nothing_reflected(self) -> None:
        """Disclose nothing: of what a client wrote nothing but plain characters comes back, and no line of its own."""
        for wrong in (b"h2c\tSet-Cookie: a=b", "h2ß\u2028".encode(), b"h2c" * 1000, b"\xff\xfe"):
            head = self.assert_refused(
                400, "h2c" if b"h2c" in wrong else "?", self.changed(b"Upgrade: websocket", b"Upgrade: " + wrong)
            )
            self.assertNotIn(b"Set-Cookie", head)
            self.assertLess(len(head), 300)

    def test_broken_handshakes(self) -> None:
        """One bad client hurts itself at most: a handshake with a part missing or wrong is an HTTP error."""
        whole = Client(self.clock, self.factory, f"/app/{KEY}").handshake
        lines = whole.split(b"\r\n")
        for line in lines[1:-2]:
            if not line.startswith((b"Sec-WebSocket-Extensions", b"User-Agent")):
                answer = self.answer(whole.replace(line + b"\r\n", b""))
                self.assertRegex(answer, rb"\AHTTP/1\.1 4\d\d ", line)

    def test_header_too_large(self) -> None:
        """Bounded: a handshake without end is refused at 16 KiB, and the connection ends."""
        client = Client(self.clock, self.factory, f"/app/{KEY}")
        client.say(b"GET / HTTP/1.1\r\n")
        for _ in range(LIMITS.header_bytes // 1024 - 1):
            client.say(b"X: " + b"x" * 1019 + b"\r\n")
            self.assertEqual(client.transport.value(), b"")
        client.say(b"X: " + b"x" * 1019 + b"\r\n")
        self.assertTrue(client.transport.value().startswith(b"HTTP/1.1 431 "))
        self.assertTrue(client.transport.disconnecting)

    def test_silence(self) -> None:
        """Bounded: who does not finish the handshake in time is hung up on."""
        client = Client(self.clock, self.factory, f"/app/{KEY}")
        client.say(b"GET /app/")
        self.clock.pump([1.0] * (LIMITS.handshake_timeout + 2))
        self.assertTrue(client.transport.ended)

    def test_established_in_time(self) -> None:
        """Bounded: the time for the handshake does not count once it is done."""
        client = self.connect()
        self.clock.pump([1.0] * (LIMITS.handshake_timeout + 2))
        self.assertFalse(client.transport.ended)


class KeyTests(SynchronousTestCase):
    """Reading the key from a path."""

    def test_key(self) -> None:
        """URL: the key is what follows the last `/app/`."""
        for path, key in (
            ("/app/k", "k"),
            ("/app/k/", "k"),
            ("/x/app/k", "k"),
            ("/app/app/k", "k"),
            ("/app/a%2Fb", "a/b"),
        ):
            self.assertEqual(key_in(path), key)

    def test_no_key(self) -> None:
        """URL: a path of another form has no key."""
        for path in ("", "/", "/app", "/app/", "app/k", "/app/k/x", "/apps/k"):
            self.assertRaises(ConnectionRefused, key_in, path)
