"""Frames as bytes (RFC 6455, 5.2): those of the server, and the plain ones of a client.

What is plain is read here, and whatever is not is left to Autobahn to judge. So this reader may decline any frame, but
it takes none that Autobahn would not take, and takes it in the same sense; a property test holds the two together.
"""

from __future__ import annotations

TEXT = 0x81
CLOSE = 0x88
PING = 0x89
PONG = 0x8A
"""The first byte of a final frame without extension bits."""

NORMAL_CLOSURE = 1000
"""Close code of the standard for an end that was asked for."""

LONGEST = 0xFFFF
"""Bytes of the longest frame that is plain."""

_MASKED = 0x80
_SHORT = 126
_EMPTY_PING = bytes((PING, 0))
_CONTROLS = (CLOSE, PING, PONG)
_PLAIN_CODES = frozenset((1000, 1001, *range(3000, 5000)))


def frame(text: bytes) -> bytes:
    """Frame a text for any client: final, unmasked, uncompressed."""
    length = len(text)
    if length < _SHORT:
        return b"\x81" + length.to_bytes(1) + text
    if length <= LONGEST:
        return b"\x81\x7e" + length.to_bytes(2) + text
    return b"\x81\x7f" + length.to_bytes(8) + text


def ping() -> bytes:
    """Ask a client for a sign of life."""
    return _EMPTY_PING


def pong(payload: bytes) -> bytes:
    """Answer a PING with its own payload, at most 125 bytes."""
    return bytes((PONG, len(payload))) + payload


def close(code: int, reason: bytes = b"") -> bytes:
    """Close, with a reason of at most 123 bytes."""
    return bytes((CLOSE, 2 + len(reason))) + code.to_bytes(2) + reason


def read_frame(data: bytes, at: int, longest: int) -> tuple[int, bytes, int] | None:
    """Read the plain frame that begins at a place of some bytes.

    Plain is a frame that is there as a whole, final and masked, a text in UTF-8 or a control frame.

    :param longest: bytes of the longest payload; up to `LONGEST`.
    :return: its first byte, its payload, and where the next frame begins; None where there is no plain frame.
    """
    begin = at + 6
    if len(data) < begin:
        return None
    kind, length = data[at], data[at + 1] - _MASKED
    if kind == TEXT:
        if length == _SHORT:
            length = int.from_bytes(data[at + 2 : at + 4])
            begin += 2
            if length < _SHORT:
                return None
        elif not 0 <= length < _SHORT:
            return None
    elif kind not in _CONTROLS or not 0 <= length < _SHORT:
        return None
    end = begin + length
    if end > len(data) or length > longest:
        return None
    payload = _unmasked(data[begin:end], data[begin - 4 : begin])
    if (kind == TEXT and not _is_utf8(payload)) or (kind == CLOSE and not _is_plain_close(payload)):
        return None
    return kind, payload, end


def close_code(payload: bytes) -> int | None:
    """Give the code of a close frame, None where it has none."""
    return int.from_bytes(payload[:2]) if payload else None


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    repeated = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_plain_close(payload: bytes) -> bool:
    return not payload or (len(payload) > 1 and close_code(payload) in _PLAIN_CODES and _is_utf8(payload[2:]))
