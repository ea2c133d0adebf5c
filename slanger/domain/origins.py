"""Origins: from which web pages clients may come.

A browser names the page's origin (RFC 6454) with the opening handshake, and no page can have it say another; whoever
is not a browser can say anything, and mostly says nothing. So an allow-list keeps the pages of others out, and nobody
else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ANY = "*"
NULL = "null"
"""What browsers say for sandboxed frames, files and packaged apps."""

_FORM = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:\*\.)?(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)


def origin_fault(pattern: str) -> str | None:
    """Say what is wrong with an entry of an allow-list, or None.

    It is `[SCHEME://]HOST[:PORT]`, where HOST may begin with ``*.`` for each of its subdomains; ``null``, or ``*``.
    Without a scheme it means any scheme, and any port.
    """
    if pattern in (ANY, NULL) or _FORM.fullmatch(pattern.lower()):
        return None
    return "expected [SCHEME://]HOST[:PORT], where HOST may begin with *., such as https://*.example.com; null, or *"


def is_allowed(origin: str, patterns: Sequence[str]) -> bool:
    """Whether an origin is on an allow-list.

    :param origin: as a browser says it: without the port where that is the scheme's own.
    """
    return any(_matches(origin.lower(), pattern.lower()) for pattern in patterns)


def _matches(origin: str, pattern: str) -> bool:
    if pattern in (ANY, origin):
        return True
    scheme, colon, place = origin.partition("://")
    wanted_scheme, wanted_colon, wanted = pattern.rpartition("://")
    if not colon or pattern == NULL:
        return False
    if not wanted_colon:
        host, port = _split(place)
        wanted, wanted_port = _split(wanted)
        return _is_host(host, wanted) and wanted_port in ("", port)
    return scheme == wanted_scheme and _is_host(place, wanted)


def _is_host(host: str, wanted: str) -> bool:
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    return host == wanted


def _split(place: str) -> tuple[str, str]:
    """Take host and port apart."""
    found = re.fullmatch(r"(.*?)(?::([0-9]*))?", place)
    return (found[1], found[2] or "") if found else (place, "")
