"""The header of the PROXY protocol, versions 1 and 2: whom a proxy speaks for, before anything else on a connection.

The source is HAProxy's `proxy-protocol.txt`. Twisted's own reader stands behind the endpoint prefix `haproxy:`; it
believes everybody, wants the header inside TLS instead of before it, closes a connection whose header comes in pieces,
and hides the socket from those who write to it directly.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

LINE_BYTES = 107
"""Bytes of the longest header of version 1, its end included (2.1)."""

BLOCK_BYTES = 4096
"""Bytes of addresses and extensions in a header of version 2; the protocol allows 65,535, proxies send some hundred."""

_LINE = b"PROXY "
_BLOCK = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = 16  # the signature, version and command, family and transport, length
_LOCAL, _PROXY = 0x20, 0x21
_ANY, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_SIZES = {_ANY: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class BadHeader(Exception):
    """These bytes do not begin with a header; the message says what is wrong."""


class ProxyHeader(NamedTuple):
    """A header that was read.

    :param host: the client's IP address; None where the proxy speaks for itself, as in its health checks, or does not
        know.
    :param port: the client's port.
    :param length: bytes of the header.
    """

    host: str | None
    port: int
    length: int


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header that bytes begin with; None where it is not all there yet.

    :raises BadHeader: there is none, or it is broken.
    """
    if data[: len(_LINE)] == _LINE[: len(data)]:
        return _read_line(data)
    if data[: len(_BLOCK)] == _BLOCK[: len(data)]:
        return _read_block(data)
    raise BadHeader("it does not begin with a PROXY header")


def _read_line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, LINE_BYTES)
    if end < 0:
        if len(data) >= LINE_BYTES:
            raise BadHeader("its PROXY header does not end")
        return None
    match data[:end].decode("latin-1").split(" "):
        case ["PROXY", "UNKNOWN", *_]:
            return ProxyHeader(None, 0, end + 2)
        case ["PROXY", ("TCP4" | "TCP6") as family, source, _, port, _]:
            host = _address(source, IPv4Address if family == "TCP4" else IPv6Address)
            if not (port.isascii() and port.isdigit() and int(port[:6]) <= 0xFFFF):
                raise BadHeader(f"its PROXY header has a bad port: {port!r}")
            return ProxyHeader(host, int(port), end + 2)
    raise BadHeader(f"its PROXY header is not understood: {data[:end]!r}")


def _address(text: str, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise BadHeader(f"its PROXY header has a bad address: {text!r}") from None


def _read_block(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED:
        return None
    command, family = data[12], data[13]
    size = int.from_bytes(data[14:16])
    if command not in (_LOCAL, _PROXY):
        raise BadHeader(f"its PROXY header has an unknown version or command: {command:#04x}")
    if size > BLOCK_BYTES:
        raise BadHeader(f"its PROXY header is too long: {size} bytes")
    if command == _PROXY and family not in _SIZES:
        raise BadHeader(f"its PROXY header is of an unknown kind: {family:#04x}")
    if command == _PROXY and size < _SIZES[family]:
        raise BadHeader(f"its PROXY header is too short: {size} bytes")
    end = _FIXED + size
    if len(data) < end:
        return None
    if command == _LOCAL or family in (_ANY, _UNIX):
        return ProxyHeader(None, 0, end)
    length = 4 if family == _TCP4 else 16
    at = _FIXED + 2 * length
    return ProxyHeader(str(ip_address(data[_FIXED : _FIXED + length])), int.from_bytes(data[at : at + 2]), end)
