"""The process that watches workers, when its settings are read again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from twisted.internet.defer import Deferred, execute
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from slanger import tap
from slanger.reload import Reload
from slanger.services.drain import LONGEST
from slanger.workers import Workers


class Reactor(MemoryReactorClock):
    """A reactor without threads: what is to be done in one is done at once."""

    def getThreadPool(self) -> None:
        """Give none."""


def at_once(reactor: Reactor, pool: None, do: Callable[[], object]) -> Deferred[object]:
    """Do what is meant for a thread."""
    return execute(do)


class WatchingTests(SynchronousTestCase):
    """Two workers that are not started."""

    def test_drain(self) -> None:
        """Reload: workers that may take longer for sending their clients away are not killed meanwhile."""
        self.patch(tap, "deferToThreadPool", at_once)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "slanger.toml")
            app = '[[apps]]\nkey = "k"\nsecret = "s"\n'
            file.write_text(f"workers = 2\n{app}", encoding="utf-8")
            options = tap.Options()
            options.parseOptions(["--config", str(file)])
            watching = tap._watch(options, Reactor())
            workers = cast(Workers, watching.getServiceNamed(Workers.name))
            self.assertEqual(workers.killTime, 10 + LONGEST)
            reload = cast(Reload, watching.getServiceNamed(Reload.name))
            reload.startService()
            file.write_text(f"workers = 2\ndrain-seconds = 600\n{app}", encoding="utf-8")
            reload.reload()
            self.assertEqual(workers.killTime, 600 + LONGEST)
