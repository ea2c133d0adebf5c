"""Opening handshakes that are refused: what is no HTTP at all, and how a refusal reads (RFC 9110, RFC 6455 4.2.2)."""

from __future__ import annotations

import re
from http import HTTPStatus

VERSION = 13
"""Of the WebSocket protocol; the drafts before it are spoken no more."""

_REASON_CHARACTERS = 200
_HEAD = re.compile(
    rb"[^\0-\x1f\x7f]*\r\n"
    rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\0-\x08\n-\x1f\x7f]*\r\n)*\r\n"  # neither folded lines nor control characters
)


def is_http(head: bytes) -> bool:
    """Whether the head of a request is written as RFC 9112 asks.

    Proxies differ in what they make of NULs, bare line ends, folded lines and spaces before a colon, so who lets them
    pass is told things that the proxy in front of him was not.
    """
    return _HEAD.fullmatch(head) is not None


def refusal(status: int, reason: str) -> bytes:
    """Write the answer that refuses a handshake: one sentence, of which the client's own bytes cannot make more.

    :param status: of HTTP. With 426 goes what would be right.
    """
    told = "".join(each if each.isprintable() and each.isascii() else "?" for each in reason[:_REASON_CHARACTERS])
    body = f"{told}\n".encode()
    right = (
        f"Upgrade: websocket\r\nSec-WebSocket-Version: {VERSION}\r\n" if status == HTTPStatus.UPGRADE_REQUIRED else ""
    )
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{right}"
        f"Connection: {'Upgrade, ' if right else ''}close\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
