"""Ports of the loopback interface for servers that are about to start.

They lie below those that systems give to outgoing connections (Linux from 32768, others from 49152): between the choice
of a port and the start of its server, and while a server is down that will come back, no client can be given it.
"""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 10_000, 32_767

_start = random.randint(FIRST, LAST)
_candidates: Iterator[int] = itertools.cycle((*range(_start, LAST + 1), *range(FIRST, _start)))


def free_port() -> int:
    """Find a port nobody listens on; no other call of this process gets it, until all have been given."""
    return next(port for port in _candidates if is_free(port))


def free_ports(count: int) -> range:
    """Find some ports in a row nobody listens on."""
    row = [free_port() for _ in range(count)]
    while row[-1] - row[0] != count - 1:
        row = [*row[1:], free_port()]
    return range(row[0], row[0] + count)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))
