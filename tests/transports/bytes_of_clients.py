"""Hypothesis strategies for what clients send as bytes: plain, odd, wrong, and cut anywhere."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from tests.server import KEY

PLAIN_HEADERS = (
    ("Host", "localhost:8080"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
ODD_VALUES = {
    "host": ("localhost", "a:80", "a:99999", "a:", "[::1]:80", "[::1]", "", "a:b", " a ", "a, b", "192.0.2.1:8_0"),
    "upgrade": ("WebSocket", "WEBSOCKET", "h2c, websocket", "h2c", "", "websocket, "),
    "connection": ("keep-alive, Upgrade", "Keep-Alive,upgrade", "close", "", "upgrade, close", "Upgrade, Upgrade"),
    "sec-websocket-key": (
        "",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAA====",
        "A A AAAAAAAAAAAAAAAAAA==",
        "é" * 22,
    ),
    "sec-websocket-version": ("8", "7", "12", "013", "+13", "1_3", "13.0", "", "13, 8"),
    "sec-websocket-extensions": (
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; nonsense",
        "x-webkit-deflate-frame",
        "",
    ),
    "sec-websocket-protocol": (
        "pusher-channels-protocol-7",
        "chat, pusher-channels-protocol-7",
        "pusher-channels-protocol-7,pusher-channels-protocol-6",
        "chat,chat",
        "chat, chat",
        ",",
        "",
        "pusher-channels-protocol-7 x",
        'pusher-channels-protocol-"',
    ),
    "origin": (
        "null",
        "NULL",
        "https://shop.example",
        "http://localhost:3000",
        "https://a:65535",
        "https://a:65536",
        "https://a:9999",
        "https://a:99999",
        "https://a:",
        "https://[::1]",
        "https://[",
        "https://a/b",
        "file://",
        "app://.",
        "https://",
        "shop.example",
        "",
    ),
    "sec-websocket-origin": ("http://localhost", "http://", "nonsense"),
    "x-forwarded-for": ("192.0.2.1", "192.0.2.1, 192.0.2.2"),
    "cookie": ("a=b; c=d", "é", "\x0bhost: b", "\x1c"),
}
PATHS = (f"/app/{KEY}", f"/push/app/{KEY}/", "/app/none", "/", "//app/k", "//[", "http://a/app/k", "*", "")
PARAMETERS = (
    *("protocol=7", "protocol=", "protocol", "protocol=3", "%70rotocol=4", "protocol=%37", "protocol=+7", "client=js"),
    *("protocol=a=b", "=", "", ";protocol=5", "protocol=6#", "#"),
)
_URL_CHARACTERS = string.ascii_letters + string.digits + "/?&=%#;:[]@+.~\\\"'" + "\x00\x1c\x7f\x85é\t"


def _cases(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from((name, name.lower(), name.upper(), name.title(), f" {name}", f"{name} "))


@st.composite
def _odd_header(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """Write one header oddly, beside the plain one or in its place."""
    name = draw(st.sampled_from(sorted(ODD_VALUES)))
    separator = draw(st.sampled_from((": ", ": ", ": ", ":", ":  ", ":\t", "")))
    odd = draw(_cases(name)) + separator + draw(st.sampled_from(ODD_VALUES[name]))
    if draw(st.integers(0, 3)):
        lines = [each for each in lines if not each.lower().startswith(name)]
    return [*lines, odd]


def _without_one(lines: list[str]) -> st.SearchStrategy[list[str]]:
    return st.integers(0, len(lines) - 1).map(lambda at: lines[:at] + lines[at + 1 :])


def _with_another(lines: list[str]) -> st.SearchStrategy[list[str]]:
    others = ("X: y", "no colon", ": no name", " folded", "X:", "Ä: b", "a\nb", "X : y")
    return st.sampled_from(others).map(lambda other: [*lines, other])


@st.composite
def _header_lines(draw: st.DrawFn) -> list[str]:
    """Write the headers that are needed, some of them oddly, with others, in any order."""
    lines = [f"{name}: {value}" for name, value in PLAIN_HEADERS]
    for change in draw(st.lists(st.sampled_from((_odd_header, _odd_header, _without_one, _with_another)), max_size=2)):
        lines = draw(change(lines))
    return draw(st.permutations(lines))


def _urls() -> st.SearchStrategy[str]:
    path = st.sampled_from(PATHS)
    pair = st.sampled_from(PARAMETERS)
    query = st.lists(pair, max_size=4).map("&".join)
    url = st.builds(lambda path, query: f"{path}?{query}" if query else path, path, query)
    return st.one_of(st.just(f"/app/{KEY}?protocol=7"), url, url, st.text(_URL_CHARACTERS))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Write an opening handshake, more or less."""
    first = f"GET {draw(_urls())} HTTP/1.1"
    lines = [first, *draw(_header_lines())]
    text = "\r\n".join(lines) + "\r\n\r\n"
    odd = (
        text,
        text.replace("GET", draw(st.sampled_from(("POST", "get", " GET", "GET ")))),
        text.replace("HTTP/1.1", draw(st.sampled_from(("HTTP/1.0", "HTTP/1.1 ", "http/1.1")))),
        text.replace("\r\n", "\n", draw(st.integers(1, 9))),
        text + draw(st.sampled_from(("\x89\x80\0\0\0\0", "\x81", "GET /"))),
        text[: draw(st.integers(0, len(text)))],
    )
    return draw(st.one_of(st.just(text), st.just(text), st.sampled_from(odd))).encode("latin-1")


def _closes() -> st.SearchStrategy[bytes]:
    codes = st.sampled_from((1000, 1001, 1002, 1004, 1005, 1006, 1012, 2999, 3000, 4100, 4999, 5000, 0, 65535))
    reasons = st.one_of(
        st.text(max_size=20).map(str.encode), st.binary(max_size=3), st.just(b"x" * 123), st.just(b"x" * 124)
    )
    full = st.builds(lambda code, reason: code.to_bytes(2) + reason, codes, reasons)
    return st.one_of(full, st.just(b""), st.binary(max_size=2))


_TEXTS = st.one_of(
    st.just(b'{"event":"pusher:ping"}'),
    st.text(max_size=10).map(str.encode),
    st.binary(max_size=10),
    st.sampled_from((b"x" * 125, b"x" * 126, b"x" * 200, b"x" * 201, "é".encode() * 100, b"x" * 199 + b"\xc3")),
)


def frame(first: int, payload: bytes, mask: bytes | None, form: int = 0) -> bytes:
    """Write one frame.

    :param form: bytes of its extended length, at least.
    """
    masked = 0 if mask is None else 0x80
    length = len(payload)
    if form == 8:
        header = bytes((first, masked | 127)) + length.to_bytes(8)
    elif form == 2 or length > 125:
        header = bytes((first, masked | 126)) + length.to_bytes(2)
    else:
        header = bytes((first, masked | length))
    return header + payload if mask is None else header + mask + bytes(b ^ mask[at % 4] for at, b in enumerate(payload))


_MASKS = st.sampled_from((b"\0\0\0\0", b"\x12\x34\xff\x00", b"abcd"))
_PLAIN_TEXTS = st.sampled_from(
    (b"bye", b'{"event":"pusher:ping"}', b"", "é".encode() * 100, b"x" * 125, b"x" * 126, b"x" * 200)
)


def _plain_frames() -> st.SearchStrategy[bytes]:
    return st.builds(frame, st.sampled_from((0x81, 0x81, 0x89, 0x8A)), _PLAIN_TEXTS, _MASKS)


def _ends() -> st.SearchStrategy[bytes]:
    return st.builds(frame, st.just(0x88), _closes(), _MASKS)


def _odd_frames() -> st.SearchStrategy[bytes]:
    kinds = st.sampled_from((0x81, 0x81, 0x88, 0x89, 0x82, 0x01, 0x80, 0x00, 0xC1, 0x83, 0x09, 0x8B))
    return st.builds(frame, kinds, _TEXTS, st.one_of(_MASKS, _MASKS, st.none()), st.sampled_from((0, 0, 2, 8)))


def _fragments() -> st.SearchStrategy[bytes]:
    last = st.builds(frame, st.just(0x80), _TEXTS, _MASKS)
    return st.builds(bytes.__add__, st.builds(frame, st.just(0x01), _TEXTS, _MASKS), last)


def frames() -> st.SearchStrategy[bytes]:
    """Write one frame, well or badly, or a message in two."""
    plain = _plain_frames()
    return st.one_of(plain, plain, plain, plain, _fragments(), _ends(), _odd_frames())


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Write some frames, and cut them anywhere, or nowhere."""
    whole = draw(st.lists(frames(), min_size=1, max_size=6))
    if draw(st.booleans()):
        return whole
    joined = b"".join(whole)
    cuts = sorted(draw(st.sets(st.integers(0, len(joined)), max_size=4)))
    return [joined[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
