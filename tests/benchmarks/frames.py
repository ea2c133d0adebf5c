"""WebSocket frames, as a client sends and takes them apart (RFC 6455, section 5.2)."""

from __future__ import annotations

from tests.benchmarks.faults import Fault

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
_NO_MASK = bytes(4)


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Write a client's frame; its mask is zero, so that masking costs nothing here and the server all the same.

    :param payload: up to 65,535 bytes.
    """
    size = len(payload)
    if size < 126:
        head = bytes((FINAL | opcode, MASKED | size))
    else:
        head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    return head + _NO_MASK + payload


def text_head(size: int) -> bytes:
    """Write the head of a server's text frame.

    :param size: of the whole frame, up to 65,539 bytes.
    """
    if size < 128:
        return bytes((FINAL | TEXT, size - 2))
    return bytes((FINAL | TEXT, 126)) + (size - 4).to_bytes(2, "big")


def take_apart(data: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Take a server's frames apart.

    :returns: opcode, size of the whole frame and payload of each, and the part of a frame that is left.
    :raises Fault: a frame is in fragments; servers of this protocol send short messages whole.
    """
    frames = []
    position, end = 0, len(data)
    while end - position >= 2:
        first, size = data[position], data[position + 1]
        start = position + 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[position + 2 : start], "big")
        if start + size > end:
            break
        if not first & FINAL:
            raise Fault("the server sends messages in fragments, which this load generator does not read")
        frames.append((first & 15, start + size - position, data[start : start + size]))
        position = start + size
    return frames, data[position:]
