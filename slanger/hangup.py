"""The signal SIGHUP: what an operator sends to a service that is to read its settings again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from twisted.application.service import Service

from slanger.signals import stop

TERMINAL = "/dev/tty"
"""The terminal of a process, whichever it is; it cannot be opened where there is none."""


class Hangup(Service):
    """Do something on SIGHUP, in the reactor's own time. One that comes before the start is held back until then.

    A terminal that is closed sends the same signal to all that was started from it, and means that they shall end.

    :param act: called once for signals that come together.
    """

    name = "hangup"

    def __init__(self, reactor: Any, act: Callable[[], None]) -> None:
        self._reactor = reactor
        self._act = act
        self._due = False
        self._had_terminal = False
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

    def startService(self) -> None:
        """Take the signal, and one that was held back."""
        super().startService()
        self._had_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_DFL and has_terminal()
        signal.signal(signal.SIGHUP, self._signalled)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def stopService(self) -> None:
        """Ignore it from now on: Python's own end would give it back its meaning, and the process would die of it.

        It is held back first, as Python complains of one that comes while its handler is being taken away.
        """
        super().stopService()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.running and not self._due:
            self._due = True
            self._reactor.callFromThread(self._hung_up)

    def _hung_up(self) -> None:
        self._due = False
        if self._had_terminal and not has_terminal():
            stop(self._reactor)
        else:
            self._act()


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGHUP back, also from a process that is started meanwhile: it would end, as it knows nothing of it yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_terminal() -> bool:
    """Whether this process belongs to a terminal."""
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
