"""File descriptors: some are kept free, so that no client can take the last one.

Where none is left, Twisted logs a line for each connection that it cannot accept, and nothing else can be opened
either: no request of an app, no webhook, no link to Redis.
"""

from __future__ import annotations

import resource
from typing import Any

NEVER = 2**31
"""A number that no descriptor has."""

SPARE = 64
"""Descriptors that are left to the process itself, or an eighth of all; as many again are left to requests of apps."""


def first_kept(shares: int) -> int:
    """Give the number of the first descriptor that is kept free, by the limit that the system sets the process now.

    :param shares: how many times `SPARE` are kept.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = NEVER if soft == resource.RLIM_INFINITY else soft
    return most - shares * min(SPARE, most // 8)


def is_beyond(transport: Any, most: int) -> bool:
    """Tell whether a new connection is one too many.

    The system gives it the lowest number that is free (POSIX, `open`): so nothing has to be counted.

    :param most: numbers from here on are kept free; a transport that has none, as in tests, is always welcome.
    """
    fileno = getattr(transport, "fileno", None)
    return fileno is not None and fileno() >= most
