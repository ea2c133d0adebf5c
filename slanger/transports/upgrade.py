"""The plain opening handshake (RFC 6455, 4.2), as nearly every client sends it, and its answer.

A request is plain when it is there as a whole, with nothing behind it, and each header that matters is written in a
usual way. Whatever is not plain is left to Autobahn to judge. So this reader may decline any request, but it takes none
that Autobahn would not take, and answers it with the same bytes; a property test holds the two together.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from typing import NamedTuple
from urllib.parse import parse_qs

SUBPROTOCOL = "pusher-channels-protocol-"
"""Offered, with a version, by Swift clients, which hang up unless it is echoed ("WebSocket handshake")."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_WORD = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_URL = r"/(?:[!\"$-.0-~][!\"$-~]*)?"  # no fragment, and no host
_REQUEST = re.compile(rf"GET ({_URL}) HTTP/1\.1\r\n((?:{_WORD}:[ -~]*\r\n)+)\r\n")
_HEADER = re.compile(r"([^:]+): ?([^\r]*)\r\n")
_MISSING = "\r"
_PLAIN = {
    "host": r"[-.0-9A-Za-z]+(?::[0-9]{1,5})?",
    "upgrade": r"[Ww]eb[Ss]ocket",
    "connection": r"(?:[Kk]eep-[Aa]live, ?)?[Uu]pgrade",
    "sec-websocket-version": r"13",
    "sec-websocket-extensions": rf"(?:permessage-deflate(?:; client_max_window_bits)?|{_MISSING})",
    "origin": rf"(null|https?://[-.0-9A-Za-z]+(?::[0-9]{{1,4}})?|{_MISSING})",
    "sec-websocket-protocol": rf"({_WORD}|{_MISSING})",
    "sec-websocket-key": r"([+/0-9A-Za-z]{22}==)",
}
"""How the headers that matter are usually written; where one may be missing, its pattern says so."""

_ALL_PLAIN = re.compile("\n".join(_PLAIN.values()))


class Upgrade(NamedTuple):
    """A plain request, understood.

    :param path: of its URL, as it was written.
    :param version: the `protocol` parameter of its URL.
    :param origin: of the web page it comes from; None where it has none.
    :param forwarded: what `X-Forwarded-For` says, as proxies write it.
    :param answer: what the client is waiting for.
    """

    path: str
    version: str | None
    origin: str | None
    forwarded: str | None
    answer: bytes


def read_upgrade(data: bytes) -> Upgrade | None:
    """Read a plain request; None where these bytes are none."""
    request = _REQUEST.fullmatch(data.decode("latin-1"))
    if request is None:
        return None
    url, lines = request.groups()
    found = _HEADER.findall(lines)
    headers = {name.lower(): value for name, value in found}
    plain = _ALL_PLAIN.fullmatch("\n".join([headers.get(name, _MISSING) for name in _PLAIN]))
    if plain is None or len(headers) < len(found):
        return None
    origin, subprotocol, key = plain.groups()
    chosen = None if subprotocol == _MISSING else subprotocol_in([subprotocol])
    path, _, query = url.partition("?")
    told = None if origin == _MISSING else origin
    return Upgrade(path, version_in(query), told, headers.get("x-forwarded-for"), _answer(key, chosen))


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


def _answer(key: str, subprotocol: str | None) -> bytes:
    chosen = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    accepted = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        f"{chosen}Sec-WebSocket-Accept: {accepted}\r\n\r\n"
    ).encode()
