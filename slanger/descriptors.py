"""File descriptors: some are kept free, so that no client can take the last one.

Where none is left, Twisted logs a line for each connection that it cannot accept, and nothing else can be opened
either: no request of an app, no webhook, no link to Redis. The system gives a new connection the lowest number that is
free (POSIX, `open`): so nothing has to be counted.
"""

from __future__ import annotations

import errno
import resource
from socket import socket
from typing import Any

from slanger.tallies import Tally

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

    :param most: numbers from here on are kept free; a transport that has none, as in tests, is always welcome.
    """
    fileno = getattr(transport, "fileno", None)
    return fileno is not None and fileno() >= most


class Guarded:
    """A listening socket that hangs up on a connection that is one too many, before anybody has to do with it.

    Twisted accepts hundreds of connections in one go, and ends one that it is told to abort only after that.

    :param listening: the socket; whatever else it can do is its own.
    :param most: numbers from here on are kept free.
    :param refused: counts.
    """

    def __init__(self, listening: socket, most: int, refused: Tally) -> None:
        self._listening = listening
        self._most = most
        self._refused = refused

    def accept(self) -> tuple[socket, Any]:
        """Accept a connection. One too many is reported as Linux reports one that a firewall refuses: Twisted goes on.

        :raises PermissionError: it was one too many.
        """
        connection, address = self._listening.accept()
        if connection.fileno() >= self._most:
            connection.close()
            self._refused["", "descriptors"] += 1
            raise PermissionError(errno.EPERM, "its descriptor is kept free")
        return connection, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)
