"""The kinds of abuse. Each is a function that does it once, for as long as that takes, and counts what it did."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from tests.abuse.abuser import HANDSHAKE, Abuser, any_frame, drain, drop, send_until_closed, text_frame
from tests.api.requests import request_bytes, signed_target

Kind = Callable[[Abuser], int]

HELD = 40
"""Connections that one kind of abuse holds at the same time."""

FLOOD = "flood"
"""The channel that slow readers are on; the app sends large events to it."""

HUGE = (2**63 - 1).to_bytes(8)
EVENTS = "/apps/3/events"


def garbage(abuser: Abuser) -> int:
    """Random bytes on both ports."""
    for port in (abuser.websocket_port, abuser.api_port):
        connection = abuser.connect(port)
        send_until_closed(connection, abuser.random.randbytes(abuser.random.randint(1, 4096)) + b"\r\n\r\n", 4)
        drain(connection, 0.2)
        connection.close()
    return 2


def garbage_frames(abuser: Abuser) -> int:
    """Random bytes behind an opening handshake."""
    connection = abuser.enter()
    send_until_closed(connection, abuser.random.randbytes(4096), 4)
    drain(connection, 0.2)
    drop(connection)
    return 1


def slow_headers(abuser: Abuser) -> int:
    """Heads of requests, byte by byte, on both ports, for as long as the server lets it."""
    heads = (HANDSHAKE, b"POST /apps/3/events HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200)
    ports = (abuser.websocket_port, abuser.api_port)
    held = [abuser.connect(ports[number % 2]) for number in range(HELD)]
    for at in range(40):
        for number, connection in enumerate(held):
            with suppress(OSError):
                connection.send(heads[number % 2][at : at + 1])
        abuser.rest(0.2)
        if abuser.over.is_set():
            break
    for connection in held:
        drop(connection)
    return HELD


def half_open(abuser: Abuser) -> int:
    """Connections that say nothing at all, on both ports."""
    held = [abuser.connect((abuser.websocket_port, abuser.api_port)[number % 2]) for number in range(HELD)]
    abuser.rest(5)
    for connection in held:
        drop(connection)
    return HELD


def unfinished_bodies(abuser: Abuser) -> int:
    """Requests whose body is announced, and does not come, or never ends."""
    held = []
    for length in (b"Content-Length: 1000", b"Content-Length: 999999999999", b"Transfer-Encoding: chunked"):
        connection = abuser.connect(abuser.api_port)
        held.append(connection)
        connection.sendall(b"POST /apps/3/events HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n")
    send_until_closed(held[1], b"x" * 65536, 100)
    send_until_closed(held[2], b"10000\r\n" + b"x" * 65536 + b"\r\n", 100)
    abuser.rest(1)
    for connection in held:
        drop(connection)
    return len(held)


def unread_answers(abuser: Abuser) -> int:
    """Requests without end whose answers nobody reads, on both ways of HTTP."""
    held = [abuser.connect(abuser.api_port, received=4096) for _ in range(2)]
    for connection, header in zip(held, (b"", b"Origin: https://example.com\r\n"), strict=True):
        send_until_closed(connection, (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n") * 1000, 1000)
        drop(connection)
    return len(held)


def huge_frames(abuser: Abuser) -> int:
    """Frames of 16 MiB, sent in full, should the server read them."""
    connection = abuser.enter()
    connection.sendall(b"\x81\xff" + (2**24).to_bytes(8) + b"abcd")
    send_until_closed(connection, b"x" * 65536, 256)
    drop(connection)
    return 1


def lengths(abuser: Abuser) -> int:
    """Lengths of 64 bits, with and without the first of them, of texts, pings and closes."""
    for first in (0x81, 0x01, 0x82, 0x89, 0x88):
        for length in (HUGE, b"\xff" * 8, b"\x80" + bytes(7)):
            connection = abuser.enter()
            send_until_closed(connection, bytes((first, 0xFF)) + length + b"abcd" + b"x" * 100, 1)
            drain(connection, 0.2)
            drop(connection)
    return 15


def fragments(abuser: Abuser) -> int:
    """A message in fragments that never ends; empty ones, too."""
    for payload in (b"", b"x", b"x" * 1000):
        connection = abuser.enter()
        send_until_closed(connection, any_frame(0x01, b"{"), 1)
        send_until_closed(connection, any_frame(0x00, payload) * 500, 40)
        drop(connection)
    return 3 * 20_001


def pings(abuser: Abuser) -> int:
    """Pings by the thousand, whose answers are not read."""
    connection = abuser.enter(received=4096)
    send_until_closed(connection, any_frame(0x89, b"x" * 125) * 500, 20)
    drop(connection)
    return 10_000


def subscriptions(abuser: Abuser) -> int:
    """Subscriptions to channels without end, some left again, none of the answers read to the end."""
    connection = abuser.enter()
    mark = abuser.random.randrange(10**9)
    for begin in range(0, 2000, 100):
        asked = (
            {"event": "pusher:subscribe", "data": {"channel": f"c-{mark}-{each}"}} for each in range(begin, begin + 100)
        )
        send_until_closed(connection, b"".join(text_frame(json.dumps(each).encode()) for each in asked), 1)
        drain(connection, 0.01)
    drop(connection)
    return 2000


def come_and_go(abuser: Abuser) -> int:
    """Connections that are opened and dropped at once: at the TCP level, in the handshake, and behind it."""
    for number in range(100):
        connection = abuser.connect((abuser.websocket_port, abuser.api_port)[number % 4 == 3])
        if number % 4 == 1:
            connection.sendall(HANDSHAKE[: number + 1])
        elif number % 4 == 2:
            connection.sendall(HANDSHAKE)
        drop(connection)
    return 100


def deep_json(abuser: Abuser) -> int:
    """JSON nested without end: in messages, in data within data, and in signed requests."""
    deep = b"[" * 50_000
    connection = abuser.enter()
    for text in (deep, b'{"event":"client-a","channel":"private-a","data":' + deep, b'{"a":' * 20_000):
        send_until_closed(connection, text_frame(text), 1)
    drain(connection, 0.2)
    drop(connection)
    body = b'{"name":"n","channel":"news","data":' + deep
    _request(abuser, "POST", EVENTS, body)
    return 4


def bad_text(abuser: Abuser) -> int:
    """Texts that are not UTF-8, whole and in fragments, and ones in UTF-8 that is odd."""
    for texts in (
        (any_frame(0x81, b"\xff\xfe"),),
        (any_frame(0x01, b"\xe2\x82"), any_frame(0x80, b"{}")),
        (any_frame(0x81, b"\xed\xa0\x80"),),
        (text_frame(json.dumps({"event": "\u0000\u2028\U0001f642" * 100, "data": "\ud800"}).encode()),),
    ):
        connection = abuser.enter()
        send_until_closed(connection, b"".join(texts), 1)
        drain(connection, 0.1)
        drop(connection)
    return 4


def bad_signatures(abuser: Abuser) -> int:
    """Requests and subscriptions with signatures that are wrong."""
    body = b'{"name":"n","channel":"news","data":"d"}'
    target = signed_target("POST", EVENTS, (), body, int(time.time()), secret="guessed")
    connection = abuser.connect(abuser.api_port)
    send_until_closed(connection, request_bytes("POST", target, body) * 100, 5)
    drain(connection, 1)
    drop(connection)
    connection = abuser.enter()
    asked = {"channel": "private-room", "auth": "key:" + "0" * 64}
    send_until_closed(
        connection, text_frame(json.dumps({"event": "pusher:subscribe", "data": asked}).encode()) * 100, 5
    )
    drain(connection, 1)
    drop(connection)
    return 1000


def slow_readers(abuser: Abuser) -> int:
    """Subscribers who never read, while the app sends large events to their channel."""
    held = []
    for _ in range(HELD // 2):
        connection = abuser.enter(received=4096)
        asked = {"event": "pusher:subscribe", "data": {"channel": FLOOD}}
        connection.sendall(text_frame(json.dumps(asked).encode()))
        held.append(connection)
    data = "x" * 10_000
    for _ in range(200):
        _request(abuser, "POST", EVENTS, json.dumps({"name": "flood", "channel": FLOOD, "data": data}).encode())
        if abuser.over.is_set():
            break
        abuser.rest(0.02)
    for connection in held:
        drop(connection)
    return len(held)


def _request(abuser: Abuser, method: str, path: str, body: bytes) -> None:
    connection = abuser.connect(abuser.api_port)
    target = signed_target(method, path, (), body, int(time.time()))
    with suppress(OSError):
        connection.sendall(request_bytes(method, target, body, Connection="close"))
        drain(connection, 1)
    connection.close()


KINDS: Mapping[str, Kind] = {
    "garbage": garbage,
    "garbage frames": garbage_frames,
    "slow headers": slow_headers,
    "half-open sockets": half_open,
    "unfinished bodies": unfinished_bodies,
    "unread answers": unread_answers,
    "huge frames": huge_frames,
    "64-bit lengths": lengths,
    "endless fragments": fragments,
    "ping floods": pings,
    "subscribe floods": subscriptions,
    "opened and dropped": come_and_go,
    "deep JSON": deep_json,
    "bad UTF-8": bad_text,
    "bad signatures": bad_signatures,
    "slow readers": slow_readers,
}

HANDS: Mapping[str, int] = {"opened and dropped": 4}
"""How many do the same, where it is more than one; so that 10,000 connections are opened and dropped in two minutes."""
