"""Short turns: what happens to many connections at once is taken up over several turns of the reactor.

When ten thousand clients vanish together, their network with them, the kernel tells of all of them at once, and Twisted
takes up all that the kernel tells before it does anything else. So the kernel is asked for a few at a time. Nobody is
forgotten: the kernel tells first of those that it has not told of yet.

A turn is Twisted's own but for that, and for the name of the connection, which is not put into the context of Twisted's
old log for each event: that costs more than to read from a socket, and our lines name clients themselves.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

EVENTS = 64
"""Connections that are taken up in one turn. One of them rarely costs a millisecond: an event or a frame costs some ten
microseconds, and asking the kernel again two."""


class ShortTurns(Service):
    """Have the reactor take up no more than `EVENTS` connections in a turn, where it is the one for Linux, by epoll.

    :param reactor: its `doIteration` is replaced, by one that uses what is Twisted's own; tests hold a real reactor
        against it. Others stay as they are.
    """

    name = "short turns"
    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """Begin to take up a few at a time."""
        super().startService()
        if isinstance(getattr(self._reactor, "_poller", None), select.epoll):
            self._reactor.doIteration = self._turn

    def stopService(self) -> None:
        """Take up all again."""
        super().stopService()
        vars(self._reactor).pop("doIteration", None)

    def _turn(self, seconds: float | None) -> None:
        """Wait for events, at most so long, and take up some of them."""
        reactor = self._reactor
        for descriptor, event in reactor._poller.poll(seconds, EVENTS):
            selectable = reactor._selectables.get(descriptor)
            if selectable is not None:  # it is, unless an event before this one has ended it
                try:
                    reactor._doReadOrWrite(selectable, descriptor, event)
                except Exception:
                    self._log.failure("what happened to a connection could not be taken up")
