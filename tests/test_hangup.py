"""SIGHUP, without a process of its own: what a terminal that is closed sends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from slanger import hangup
from slanger.hangup import Hangup


class FakeReactor:
    """A reactor that runs until it is stopped."""

    running = True

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call at once."""
        call(*arguments)

    def stop(self) -> None:
        """Stop, once."""
        if not self.running:
            raise ReactorNotRunning
        self.running = False


class TerminalTests(SynchronousTestCase):
    """A service whose terminal is closed."""

    def test_told_twice(self) -> None:
        """Reload: kernel and shell each tell of a terminal that is closed; it is one end, and no fault."""
        handler = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.addCleanup(signal.signal, signal.SIGHUP, handler)
        reloads: list[None] = []
        reactor = FakeReactor()
        service = Hangup(reactor, lambda: reloads.append(None))
        self.patch(hangup, "has_terminal", lambda: True)
        service.startService()
        self.patch(hangup, "has_terminal", lambda: False)
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
        self.assertEqual((reactor.running, reloads), (False, []))
