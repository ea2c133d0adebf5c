"""What the fuzzer begins with: valid inputs of each target, and words to build others of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.api.requests import Parameters
from tests.api.test_lean import ODD, TRIGGER
from tests.fuzzing.targets import CUT, SIGNED
from tests.server import KEY, SECRET
from tests.transports.bytes_of_clients import ODD_VALUES, PARAMETERS, PLAIN_HEADERS, frame
from tests.transports.test_same_verdict import HANDSHAKE, PING


def _say(event: str, data: Any = None, **more: Any) -> bytes:
    return json.dumps({"event": event, "data": data, **more}).encode()


def _subscribe(channel: str, **more: Any) -> bytes:
    return _say("pusher:subscribe", {"channel": channel, "auth": SIGNED, **more})


_MEMBER = '{"user_id":"ann","user_info":{"name":"Ann"}}'
_USER = '{"id":"ann","user_info":{"name":"Ann"},"watchlist":["bob"]}'
_MESSAGES = (
    _say("pusher:ping", {}),
    _say("pusher:pong"),
    _subscribe("news"),
    _subscribe("private-room"),
    _subscribe("private-encrypted-room"),
    _subscribe("cache-news"),
    _subscribe("presence-room", channel_data=_MEMBER),
    _say("pusher:unsubscribe", {"channel": "private-room"}),
    _say("client-typing", {"a": [1, None, "\u2028"]}, channel="private-room"),
    _say("client-typing", "text", channel="presence-room"),
    _say("pusher:signin", {"auth": SIGNED, "user_data": _USER}),
    _say("pusher:subscribe", json.dumps({"channel": "news"})),
)
_CONVERSATION = CUT.join(_MESSAGES)

_MASK = b"abcd"
_FRAMES = (
    PING,
    *(frame(0x81, text, _MASK) for text in (b"", b"bye", b"x" * 126, "é".encode() * 90)),
    frame(0x01, b"{", _MASK) + PING + frame(0x80, b"}", _MASK),
    frame(0x88, b"\x03\xe8bye", _MASK),
    frame(0x82, b"x", _MASK),
    frame(0x81, b"x" * 10, None),
)


def _api(path: str, parameters: Parameters = (), body: Any = None) -> bytes:
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return CUT.join((path.encode(), query.encode(), json.dumps(body).encode() if body is not None else b""))


_EVENT = {
    "name": "price",
    "channels": ["news", "presence-room"],
    "data": "{}",
    "socket_id": "1.2",
    "info": "user_count",
}
_SEEDS_OF_API = (
    _api("/apps/3/channels/presence-room/users", (("two\nlines", "1"),)),
    _api("/apps/3/events", body=_EVENT),
    _api("/apps/3/batch_events", body={"batch": [{"name": "n", "channel": "news", "data": "1", "info": "user_count"}]}),
    _api("/apps/3/channels", (("filter_by_prefix", "presence-"), ("info", "user_count,subscription_count"))),
    _api("/apps/3/channels/presence-room", (("info", "user_count,subscription_count,cache"),)),
    _api("/apps/3/channels/presence-room/users"),
    _api("/apps/3/channels/news/events", (("name", "n"), ("socket_id", "1.2")), {"a": 1}),
    _api("/apps/3/users/ann/terminate_connections", body={}),
    _api("/users/ann/terminate_connections", body={}),
    _api("/apps/3/events", (("name", "n"), ("channels[]", "a"), ("channels[]", "b"), ("data", "x")), {}),
    _api("/health"),
)

_ENVELOPES: Sequence[Mapping[str, Any]] = (
    {"k": "event", "v": 1, "o": "node", "s": 7, "t": {"event": "e"}, "x": "1.2"},
    {"k": "added", "v": 1, "o": "node", "u": "ann", "i": {"name": "Ann"}},
    {"k": "removed", "v": 1, "o": "node", "u": "ann"},
    {"k": "held", "v": 1, "o": "node", "u": "ann", "n": 2},
    {"k": "terminate", "v": 1, "o": "node", "s": 1, "u": "ann"},
)
_WRITTEN = tuple(json.dumps(each).encode() for each in _ENVELOPES)

_SETTINGS = f"""\
websocket-host = ":8080"
redis-url = "redis://user:pass@localhost:6379/1"
activity-timeout = 30
verbose = true

[[apps]]
id = "1"
key = "{KEY}"
secret = "{SECRET}"
client-events = false
max-connections = 5

[[apps.webhooks]]
url = "https://example.com/hooks"
events = ["channel_occupied", "channel_vacated"]
channels = ["presence-*"]
headers = {{ X-Team = "chat" }}
batch = true
""".encode()

SEEDS: Mapping[str, Sequence[bytes]] = {
    "codec": (*_MESSAGES, _MEMBER.encode(), _USER.encode()),
    "session": (*_MESSAGES, _CONVERSATION),
    "frames": (*_FRAMES, b"".join(_FRAMES), CUT.join(_FRAMES)),
    "handshake": (HANDSHAKE, HANDSHAKE + PING, HANDSHAKE[:40] + CUT + HANDSHAKE[40:]),
    "http": (*(each for each in ODD if len(each) < 1000), TRIGGER[:200] + CUT + TRIGGER[200:]),
    "api": _SEEDS_OF_API,
    "envelope": (*_WRITTEN, *(b'["1700000000000-3","",' + each + b"]" for each in _WRITTEN)),
    "settings": (
        _SETTINGS,
        b"a = " + b"[" * 2000,
        b"a = " + b"9" * 2000,
        *(_SETTINGS[: _SETTINGS.find(b"\n", at)] for at in range(0, len(_SETTINGS), 40)),
    ),
}
"""By target."""

_PROTOCOL = ("event", "channel", "data", "auth", "channel_data", "user_data", "user_id", "user_info", "watchlist", "id")
_CHANNELS = (
    "private-",
    "presence-",
    "private-encrypted-",
    "cache-",
    "private-cache-",
    "#server-to-user-ann",
    "client-",
)
_EVENTS = ("pusher:subscribe", "pusher:unsubscribe", "pusher:signin", "pusher:ping", "pusher_internal:", "\\u0000")

WORDS: Mapping[str, Sequence[bytes | str]] = {
    "codec": (*_PROTOCOL, *_CHANNELS, *_EVENTS),
    "session": (*_PROTOCOL, *_CHANNELS, *_EVENTS, SIGNED, CUT),
    "frames": (CUT, *(bytes((kind, 0x80)) + _MASK for kind in (0x81, 0x01, 0x80, 0x88, 0x89, 0x8A)), b"\xfe", b"\xff"),
    "handshake": (
        CUT,
        "\r\n",
        *(f"{name}: {value}\r\n" for name, value in PLAIN_HEADERS),
        *(f"{name}: {value}" for name, values in ODD_VALUES.items() for value in values if value.isascii()),
        *(each for each in PARAMETERS if each),
    ),
    "http": (
        CUT,
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Connection: ",
        "close",
        "\r\n\r\n",
        "POST ",
        "0\r\n\r\n",
    ),
    "api": (
        *(CUT, "channels", "channel", "name", "data", "socket_id", "info", "user_count", "subscription_count", "cache"),
        *("batch", "filter_by_prefix", "channels[]", "/apps/3/", "/users", "/terminate_connections", "%2F", "%00"),
        *_CHANNELS,
    ),
    "envelope": (
        "event",
        "added",
        "removed",
        "held",
        "terminate",
        '"k"',
        '"v"',
        '"o"',
        '"s"',
        '"t"',
        '"u"',
        '"i"',
        '"n"',
    ),
    "settings": (
        "[[apps]]\n",
        "[[apps.webhooks]]\n",
        "url",
        "events",
        "headers",
        "secret-file",
        "= [",
        "1979-05-27",
        '"""',
    ),
}
"""By target, in bytes or ASCII."""
