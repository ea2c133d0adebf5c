"""The plain opening handshake (RFC 6455, 4.2), as nearly every client sends it, and its answer.

A request is plain when it is there as a whole, with nothing behind it, and each header that matters is written in a
usual way. Whatever is not plain is left to Autobahn to judge. So this reader may decline any request, but it takes none
that Autobahn would not take, and answers it with the same bytes; a property test holds the two together.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple
from urllib.parse import parse_qs

SUBPROTOCOL = "pusher-channels-protocol-"
"""Offered, with a version, by Swift clients, which hang up unless it is echoed ("WebSocket handshake")."""

KINDS = 256
"""Requests that are remembered, without their keys."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_WORD = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_URL = r"/(?:[!\"$-.0-~][!\"$-~]*)?"  # no fragment, and no host
_REQUEST = re.compile(rf"GET ({_URL}) HTTP/1\.1\r\n((?:{_WORD}:[ -~]*\r\n)+)\r\n")
_HEADER = re.compile(r"([^:]+): ?([^\r]*)\r\n")
_MISSING = "\r"
_KEY = re.compile(rb"\r\n(?<!\n\r\n)(?i:sec-websocket-key): ?([+/0-9A-Za-z]{22}==)(?=\r\n)")  # not behind the end
_PLAIN = {
    "host": r"[-.0-9A-Za-z]+(?::[0-9]{1,5})?",
    "upgrade": r"[Ww]eb[Ss]ocket",
    "connection": r"(?:[Kk]eep-[Aa]live, ?)?[Uu]pgrade",
    "sec-websocket-version": r"13",
    "sec-websocket-extensions": rf"(?:permessage-deflate(?:; client_max_window_bits)?|{_MISSING})",
    "origin": rf"(null|https?://[-.0-9A-Za-z]+(?::[0-9]{{1,4}})?|{_MISSING})",
    "sec-websocket-protocol": rf"({_WORD}|{_MISSING})",
    "sec-websocket-key": _MISSING,  # a second one
}
"""How the headers that matter are usually written; where one may be missing, its pattern says so."""

_ALL_PLAIN = re.compile("\n".join(_PLAIN.values()))


class Upgrade(NamedTuple):
    """What a plain request asks for.

    :param path: of its URL, as it was written.
    :param version: the `protocol` parameter of its URL.
    :param origin: of the web page it comes from; None where it has none.
    :param forwarded: what `X-Forwarded-For` says, as proxies write it.
    :param subprotocol: the one that is chosen; None where none is.
    """

    path: str
    version: str | None
    origin: str | None
    forwarded: str | None
    subprotocol: str | None


def read_upgrade(data: bytes) -> tuple[Upgrade, bytes] | None:
    """Read a plain request, and write what the client is waiting for; None where these bytes are none."""
    key = _KEY.search(data)
    upgrade = None if key is None else _read(data[: key.start()] + data[key.end() :])
    return None if key is None or upgrade is None else (upgrade, _answer(key[1], upgrade.subprotocol))


@lru_cache(KINDS)
def _read(request: bytes) -> Upgrade | None:
    """Read a request without its key. Clients of one kind say all else alike, so some are kept."""
    plain = _REQUEST.fullmatch(request.decode("latin-1"))
    if plain is None:
        return None
    url, lines = plain.groups()
    found = _HEADER.findall(lines)
    headers = {name.lower(): value for name, value in found}
    plain = _ALL_PLAIN.fullmatch("\n".join([headers.get(name, _MISSING) for name in _PLAIN]))
    if plain is None or len(headers) < len(found):
        return None
    origin, subprotocol = (None if value == _MISSING else value for value in plain.groups())
    path, _, query = url.partition("?")
    chosen = None if subprotocol is None else subprotocol_in([subprotocol])
    return Upgrade(path, version_in(query), origin, headers.get("x-forwarded-for"), chosen)


def version_in(query: str) -> str | None:
    """Give the last `protocol` parameter of a query that is not empty, None where there is none."""
    if "%" in query or "+" in query:
        return parse_qs(query).get("protocol", [None])[-1]
    for pair in reversed(query.split("&")):
        name, _, value = pair.partition("=")
        if name == "protocol" and value:
            return value
    return None


def subprotocol_in(offered: Iterable[str]) -> str | None:
    """Choose one of the subprotocols that a client offers, or none."""
    return next((name for name in offered if name.startswith(SUBPROTOCOL)), None)


def _answer(key: bytes, subprotocol: str | None) -> bytes:
    chosen = b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
    accepted = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"%bSec-WebSocket-Accept: %b\r\n\r\n" % (chosen, accepted)
    )
