"""Publish for a while, and follow what becomes of it: delivered, lost, how fast, at what cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.crowd import Crowd
from tests.benchmarks.figures import CUT_OFF, EXTRA, LOST, REFUSED, Figure, percentiles
from tests.benchmarks.load import Lap, Load
from tests.benchmarks.publishers import Press

SPIN = 0.0015
"""Seconds before a request is due from which on nobody sleeps: epoll's clock ticks in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """What came of publishing for a while.

    :param published: events acknowledged in the time measured; what came later is not in it.
    :param delivered: events that came in the time measured.
    :param lost: deliveries that never came; `extra` are those nobody had published.
    :param latencies: seconds from request to delivery, a sample.
    :param answer_times: seconds from request to answer.
    """

    lap: Lap
    published: int
    delivered: int
    lost: int
    extra: int
    refused: int
    cut_off: int
    latencies: Sequence[float]
    answer_times: Sequence[float]

    def faults(self, at: int | None = None) -> list[Figure]:
        """Give what should be nothing; what nobody expects is left out where it is."""
        unlikely = (
            Figure(EXTRA, "", self.extra, at),
            Figure(REFUSED, "", self.refused, at),
            Figure(CUT_OFF, "", self.cut_off, at),
        )
        return [Figure(LOST, "deliveries", self.lost, at), *(each for each in unlikely if each.value)]

    def delivery_percentiles(self) -> list[Figure]:
        """Give those of the latencies."""
        return percentiles("latency", self.latencies)


def stream(load: Load, crowd: Crowd, press: Press, *, window: int | None = None, rate: float | None = None) -> Streamed:
    """Publish with an outstanding number of events, or at a rate.

    :param crowd: its subscribers are on one channel each; all channels of the press have as many.
    :param window: events that are under way; the next is published when the oldest of them has begun to come. Without
        subscribers only the number of publishers limits.
    :param rate: events a second.
    """
    loop = load.loop
    audience = Counter(channel for each in crowd.subscribers for channel in each.channels)
    each = max(audience.values(), default=0)
    most = (window or 0) * each
    crowd.sent_at = press.sent_at
    written_off = 0
    load.lap()
    begin = now = moved = time.perf_counter()
    end = begin + load.sizes.seconds
    due, last = begin, (0, 0)
    while now < end:
        sleep = min(end - now, load.sizes.patience)
        if rate is not None:
            while press.idle and due <= now:
                press.publish()
                due += 1 / rate
            sleep = min(sleep, max(0.0, due - now - SPIN))
        else:
            while press.idle and (not each or press.good * each < most + crowd.delivered + written_off):
                press.publish()
        loop.turn(sleep)
        now = time.perf_counter()
        if (seen := (crowd.delivered, len(press.idle))) != last:
            last, moved = seen, now
        elif rate is None and now - moved > load.sizes.patience:
            written_off = press.good * each - crowd.delivered
            moved = now
    lap, published, delivered = load.lap(), press.acknowledged, crowd.delivered
    loop.until(
        lambda: not press.busy and crowd.delivered >= press.good * each,
        lambda: (crowd.delivered, len(press.idle)),
        load.sizes.patience,
    )
    lost, extra = _account(crowd, press)
    if press.refused:
        load.remarks.append(f"a publish was refused: {press.complaint}")
    if crowd.failed:
        load.remarks.append(f"a subscriber was cut off: {crowd.complaint}")
    return Streamed(
        lap=lap,
        published=published,
        delivered=delivered,
        lost=lost,
        extra=extra,
        refused=press.refused,
        cut_off=len(crowd.failed),
        latencies=crowd.latencies,
        answer_times=press.answer_times,
    )


def _account(crowd: Crowd, press: Press) -> tuple[int, int]:
    """Compare what each subscriber should have been delivered with what he was; those who went were cut off."""
    expected = dict(zip(press.channels, press.published, strict=True))
    missing = [sum(expected.get(name, 0) for name in each.channels) - each.events for each in crowd.subscribers]
    return sum(each for each in missing if each > 0), -sum(each for each in missing if each < 0)
