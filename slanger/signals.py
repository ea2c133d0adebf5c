"""SIGTERM and SIGINT: the first ends the process in good order, with status 0; the second ends it at once.

Left to itself Twisted stops its reactor at either signal too, but twistd dies by that signal afterwards, so that nobody
can tell a good end from another. Ours are installed before any port is open, so that a signal during the start
cuts off nobody who waits there; and again when the reactor runs, as it begins by installing its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger


class Signals(Service):
    """Stop the reactor at a signal, which stops all services.

    :param reactor: what is stopped.
    :param before_dying: called at the second signal, in the signal's own context: it may do hardly anything.
    """

    name = "signals"
    _log = Logger()

    def __init__(self, reactor: Any, before_dying: Callable[[], object] = lambda: None) -> None:
        self._reactor = reactor
        self._before_dying = before_dying
        self._asked = False

    def privilegedStartService(self) -> None:
        """Listen to signals; a node that is only just starting stops as soon as it runs."""
        super().privilegedStartService()
        self._install()
        self._reactor.callWhenRunning(self._install)

    def _install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._before_dying()
            die_of(number)
        self._asked = True
        self._reactor.callFromThread(self._stop, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        self._log.info("{name}: stopping; a second signal stops it at once", event="stopping", name=name)
        stop(self._reactor)


class SignalsOfWorker(Signals):
    """Signals of a process that another watches, which sees to its end: it stops once, however often it is told to.

    A worker hears of one stop from more than one side: a terminal and systemd tell all processes at once.
    """

    def _install(self) -> None:
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
            self._reactor.callFromThread(stop, self._reactor)


def stop(reactor: Any) -> None:
    """Stop a reactor that may be stopping already."""
    with suppress(ReactorNotRunning):
        reactor.stop()


def die_of(number: int) -> None:
    """End this process by a signal, at once."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
