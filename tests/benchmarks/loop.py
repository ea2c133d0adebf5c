"""One epoll for all sockets of the load generator.

An event loop of a library costs more for each delivery than reading it does; this one is a dictionary and a call.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

BATCH = 512
"""Sockets served before the publishers are looked at again."""

LONGEST = 0.05
"""Seconds after which `until` looks again, though nothing has come."""


class Loop:
    """Tells who has something to read; use it as a context manager."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *fault: object) -> None:
        self._epoll.close()

    def watch(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Call when there is something to read, or the connection has ended."""
        self._ready[sock.fileno()] = ready
        self._epoll.register(sock, select.EPOLLIN)

    def watch_connecting(self, sock: socket.socket, connected: Callable[[], None]) -> None:
        """Call when a connection is there, or has failed."""
        self._ready[sock.fileno()] = connected
        self._epoll.register(sock, select.EPOLLOUT)

    def watch_connected(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Wait for something to read from now on, and no longer for the connection."""
        self._ready[sock.fileno()] = ready
        self._epoll.modify(sock, select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Call no more; before the socket is closed."""
        if self._ready.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock)

    def turn(self, seconds: float) -> None:
        """Wait this long at most, and call those who are ready."""
        ready = self._ready
        for descriptor, _ in self._epoll.poll(seconds, BATCH):
            if call := ready.get(descriptor):
                call()

    def until(self, happened: Callable[[], bool], progress: Callable[[], object], patience: float) -> bool:
        """Turn until something has happened.

        :param progress: a value that changes as long as there is hope.
        :param patience: seconds without progress after which hope is given up.
        :returns: whether it has happened.
        """
        last, since = progress(), time.monotonic()
        while not happened():
            self.turn(LONGEST)
            if (now := progress()) != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                return False
        return True

    def during(self, seconds: float) -> None:
        """Turn for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.turn(left)
