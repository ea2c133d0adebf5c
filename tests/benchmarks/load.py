"""What a workload is given: a server, sizes, a loop, and a meter for what the server and the load generator use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.crowd import Crowd
from tests.benchmarks.loop import Loop
from tests.benchmarks.publishers import Press
from tests.benchmarks.targets import Serving

SETTLED = 0.02
"""Share of a core below which a server has nothing left to do."""

_LOOK = 0.2
_LONGEST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much there is of everything; the defaults are those of the published tables.

    :param subscribers: of one channel, where events are fanned out.
    :param connections: made, held or lost.
    :param channels: where there are many.
    :param curve: subscribers at which the cost of a delivery is measured.
    :param members: users who join a presence channel.
    :param seconds: for which there is publishing.
    :param idle: seconds for which nothing happens.
    :param rate: events a second, where the rate is given.
    :param payload: bytes of an event's data.
    :param patience: seconds without any delivery after which those that are missing are lost.
    """

    subscribers: int = 1000
    connections: int = 10_000
    channels: int = 1000
    curve: tuple[int, ...] = (100, 1000, 10_000)
    members: int = 2000
    seconds: float = 5.0
    idle: float = 30.0
    rate: float = 50.0
    payload: int = 100
    patience: float = 5.0

    @property
    def most(self) -> int:
        """The most connections there are at a time."""
        return max(self.subscribers, self.connections, 2 * self.channels, self.members, *self.curve)


@dataclass(frozen=True, slots=True)
class Lap:
    """What was used from one moment to another.

    :param seconds: of time.
    :param server: seconds of CPU of the server; None where that is not known.
    :param load: seconds of CPU of the load generator.
    """

    seconds: float
    server: float | None
    load: float


class Load:
    """The load on one server."""

    def __init__(self, loop: Loop, serving: Serving, sizes: Sizes) -> None:
        self.loop = loop
        self.serving = serving
        self.sizes = sizes
        self.remarks: list[str] = []
        """What else a reader must know, such as why the server refused something."""
        self._last = self._now()

    @contextmanager
    def crowd(self, count: int, channels: Callable[[int], Sequence[str]]) -> Iterator[Crowd]:
        """Gather a crowd, as a context manager."""
        with Crowd(self.loop, self.serving) as crowd:
            crowd.gather(count, channels)
            yield crowd

    def press(self, count: int, channels: Sequence[str], batch: int = 1) -> Press:
        """Make publishers."""
        return Press(self.loop, self.serving, count, channels, batch, self.sizes.payload)

    def lap(self) -> Lap:
        """Tell what was used since the last call."""
        before, self._last = self._last, self._now()
        (then, theirs_then, ours_then), (now, theirs, ours) = before, self._last
        return Lap(
            now - then, None if theirs is None or theirs_then is None else theirs - theirs_then, ours - ours_then
        )

    def resident(self) -> int | None:
        """Tell the bytes of memory the server occupies; None where that is not known."""
        processes = self.serving.processes
        return None if processes is None else processes.resident()

    def settle(self) -> None:
        """Wait until the server has nothing left to do; where its CPU is not known, a second."""
        end = time.monotonic() + _LONGEST
        self.lap()
        while time.monotonic() < end:
            self.loop.during(_LOOK)
            lap = self.lap()
            if lap.server is None:
                self.loop.during(1 - _LOOK)
                return
            if lap.server < SETTLED * lap.seconds:
                return

    def _now(self) -> tuple[float, float | None, float]:
        processes = self.serving.processes
        return time.perf_counter(), None if processes is None else processes.cpu(), time.process_time()
