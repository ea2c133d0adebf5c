"""Short turns: what happens to many connections at once is taken up over several turns of the reactor.

When ten thousand clients vanish together, their network with them, the kernel tells of all of them at once, and Twisted
takes up all that the kernel tells before it does anything else. So the kernel is asked for a few at a time. Nobody is
forgotten: the kernel tells first of those that it has not told of yet.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.application.service import Service

EVENTS = 64
"""Connections that are taken up in one turn. That one of them costs a millisecond is rare; an event or a frame costs
some ten microseconds, and to ask again two."""


class ShortTurns(Service):
    """Have the reactor take up no more than `EVENTS` connections in a turn, where it is the one for Linux, by epoll.

    :param reactor: its `_poller` is Twisted's own; a test holds a real reactor against it. Others stay as they are.
    """

    name = "short turns"

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """Begin to ask for a few at a time."""
        super().startService()
        poller = getattr(self._reactor, "_poller", None)
        if isinstance(poller, select.epoll):
            self._reactor._poller = FewAtATime(poller)

    def stopService(self) -> None:
        """Ask for all again."""
        super().stopService()
        poller = getattr(self._reactor, "_poller", None)
        if isinstance(poller, FewAtATime):
            self._reactor._poller = poller.whole


class FewAtATime:
    """An epoll object that tells of a few at a time.

    :ivar whole: the object itself.
    """

    def __init__(self, whole: select.epoll) -> None:
        self.whole = whole
        self.register = whole.register
        self.modify = whole.modify
        self.unregister = whole.unregister
        self.close = whole.close

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """Wait for events, and give some of them."""
        return self.whole.poll(timeout, min(most, EVENTS))
