"""Memory."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.garbage import THRESHOLDS, Garbage
from slanger.services.memory import FEW, INTERVAL, MANY, SWEEP_INTERVAL, SWEEP_PAUSE, Memory, trim


class MemoryTest(SynchronousTestCase):
    """Bounded: what was freed goes back to the system."""

    def setUp(self) -> None:
        """Begin to look at nothing."""
        self.clock = Clock()
        self.count = 0
        self.trims = 0
        self.garbage = NotedGarbage()
        self.memory = Memory(self.clock, lambda: self.count, self.garbage, self.trim)
        self.memory.startService()

    def trim(self) -> None:
        """Count it."""
        self.trims += 1

    def see(self, *counts: int) -> None:
        """Let there be so many, at one look after the other."""
        for self.count in counts:
            self.clock.advance(INTERVAL)

    def test_many_went(self) -> None:
        """After half of many have gone, and no more go, memory is given back, once."""
        self.see(10 * FEW, 6 * FEW, 6 * FEW, 4 * FEW, 3 * FEW)
        self.assertEqual(self.trims, 0)
        self.see(3 * FEW, 3 * FEW)
        self.assertEqual(self.trims, 1)
        self.assertEqual(self.garbage.done, ["begin", "look"])
        self.see(FEW, FEW + 1)
        self.assertEqual(self.trims, 2)

    def test_few(self) -> None:
        """Few that come and go are not worth it."""
        self.see(FEW, 0, 0, FEW, 0, 0)
        self.assertEqual(self.trims, 0)

    def test_stop(self) -> None:
        """A service that stopped leaves no call waiting, and the collector as it was."""
        self.memory.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.garbage.done, ["begin", "end"])

    def test_many_came(self) -> None:
        """Each time many more have come the collector settles; not when as many come and go again and again."""
        self.see(MANY, 2 * MANY, 2 * MANY + 1, 3 * MANY, 4 * MANY)
        self.assertEqual(self.garbage.done, ["begin", "settle", "settle"])
        for _ in range(10):
            self.see(3 * MANY, 4 * MANY)
        self.assertEqual(self.garbage.done, ["begin", "settle", "settle"])

    def test_sweep(self) -> None:
        """Once in an hour circles are looked for everywhere, and memory is given back."""
        for _ in range(int(2 * SWEEP_INTERVAL / INTERVAL)):
            self.see(0)
        self.assertEqual(self.garbage.done, ["begin", "sweep", "sweep"])
        self.assertEqual(self.trims, 2)

    def test_settled_went(self) -> None:
        """When most of what had settled has gone, circles are looked for everywhere, yet once in a minute at most."""
        self.see(2 * MANY, 0, 0)
        self.assertEqual(self.garbage.done, ["begin", "settle", "look"])
        self.pass_minute(0)
        self.assertEqual(self.garbage.done, ["begin", "settle", "look", "sweep"])
        self.see(2 * MANY)
        self.pass_minute(2 * MANY)
        self.assertEqual(self.garbage.done, ["begin", "settle", "look", "sweep", "settle"])
        self.see(MANY - 1, MANY - 1)
        self.assertEqual(self.garbage.done, ["begin", "settle", "look", "sweep", "settle", "sweep"])

    def pass_minute(self, count: int) -> None:
        """Let there be so many for as long as two sweeps are apart."""
        self.see(*[count] * int(SWEEP_PAUSE / INTERVAL))

    def test_trim(self) -> None:
        """Trimming works here, and more than once."""
        trim()
        trim()


class NotedGarbage(Garbage):
    """A collector that only notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def begin(self) -> None:
        """Note it."""
        self.done.append("begin")

    def settle(self) -> None:
        """Note it."""
        self.done.append("settle")

    def look(self) -> None:
        """Note it."""
        self.done.append("look")

    def sweep(self) -> None:
        """Note it."""
        self.done.append("sweep")

    def end(self) -> None:
        """Note it."""
        self.done.append("end")


class Circle:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


class GarbageTests(SynchronousTestCase):
    """Bounded: whatever the collector is spared, circles are found in the end."""

    def setUp(self) -> None:
        """Begin."""
        self.garbage = Garbage()
        self.garbage.begin()
        self.addCleanup(self.garbage.end)

    def test_frozen(self) -> None:
        """What has settled is freed as ever when nobody refers to it; circles in it are found by a sweep."""
        plain, circle = {Circle}, Circle()
        freed = weakref.ref(plain), weakref.ref(circle)
        self.garbage.settle()
        del plain, circle
        gc.collect()
        self.assertEqual([each() is None for each in freed], [True, False])
        self.garbage.sweep()
        self.assertIsNone(freed[1]())

    def test_come_and_go(self) -> None:
        """Of circles that come with many and go with them, again and again, only the first wait for a sweep."""
        clock, count = Clock(), 0
        memory = Memory(clock, lambda: count, self.garbage, lambda: None)
        memory.startService()
        self.addCleanup(memory.stopService)
        freed = []
        for _ in range(5):
            circle = Circle()
            freed.append(weakref.ref(circle))
            count = 2 * MANY
            clock.advance(INTERVAL)
            del circle
            count = 0
            clock.pump((INTERVAL, INTERVAL))
        self.assertEqual([each() is None for each in freed], [False, True, True, True, True])
        clock.advance(SWEEP_PAUSE)
        self.assertEqual([each() is None for each in freed], [True] * 5)

    def test_young(self) -> None:
        """A circle that is gone before the collector settles is found by it."""
        circle = Circle()
        freed = weakref.ref(circle)
        del circle
        self.garbage.settle()
        self.assertIsNone(freed())

    def test_end(self) -> None:
        """In the end the collector is as it was."""
        garbage, before = Garbage(), gc.get_threshold()
        garbage.begin()
        self.assertEqual(gc.get_threshold(), THRESHOLDS)
        garbage.end()
        self.assertEqual((gc.get_threshold(), gc.get_freeze_count()), (before, 0))
