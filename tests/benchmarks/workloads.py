"""The table of workloads: what is measured."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from tests.benchmarks.crowd import Crowd
from tests.benchmarks.faults import Fault
from tests.benchmarks.figures import CUT_OFF, EXTRA, LEFT, LOST, Figure, percentiles
from tests.benchmarks.load import Lap, Load, Sizes
from tests.benchmarks.probe import Probe
from tests.benchmarks.requests import request
from tests.benchmarks.stream import Streamed, stream
from tests.benchmarks.subscribers import MARK

PUBLISHERS = 16
"""HTTP connections, where publishing is to be as fast as it goes."""

BATCH = 10
"""Events of a batch request: as many as the protocol allows."""

MANY_WINDOW = 64
"""Publishes outstanding on many small channels."""

SUBSCRIPTIONS = 5
"""Channels each connection is on, of those that are lost at once."""

STEPS = 5
"""Parts in which members join, to tell whether the later ones cost more."""

ANSWER_PATIENCE = 20.0
"""Seconds to wait for an answer of the REST API."""

_ASK_AGAIN = 0.1

Figures = Iterable[Figure]


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to measure.

    :param name: as `--only` takes it.
    :param title: says what is done, with its sizes.
    :param measure: does it to a fresh server, and gives the figures.
    """

    name: str
    title: Callable[[Sizes], str]
    measure: Callable[[Load], Figures]


def _micro(name: str, seconds: float | None, units: int, at: int | None = None) -> list[Figure]:
    """Give the CPU of one unit of work in microseconds; nothing where it is not known."""
    return [] if seconds is None or not units else [Figure(name, "µs", seconds / units * 1e6, at)]


def _shares(lap: Lap) -> list[Figure]:
    """Tell who was the limit: whoever is near 100 %."""
    server = [] if lap.server is None else [Figure("server's CPU", "%", lap.server / lap.seconds * 100)]
    return [*server, Figure("load generator's CPU", "%", lap.load / lap.seconds * 100)]


def _kept(load: Load, before: int | None, connections: int) -> list[Figure]:
    """Give the memory that each connection occupies, once the server has done everything."""
    load.settle()
    after = load.resident()
    if before is None or after is None:
        return []
    return [Figure("resident memory per connection", "kB", (after - before) / connections / 1000)]


def _one(_: int) -> Sequence[str]:
    return ("bench-one",)


def _own(number: int) -> Sequence[str]:
    return (f"bench-{number:06d}",)


def _deliveries(streamed: Streamed) -> Figures:
    lap = streamed.lap
    yield from _micro("CPU per delivery", lap.server, streamed.delivered)
    yield Figure("deliveries", "1/s", streamed.delivered / lap.seconds)
    yield from streamed.delivery_percentiles()
    yield from _shares(lap)
    yield from streamed.faults()


def fan_out(load: Load) -> Figures:
    """One channel; the next event is published when the last is acknowledged and has begun to come."""
    with load.crowd(load.sizes.subscribers, _one) as crowd, load.press(1, ("bench-one",)) as press:
        yield from _deliveries(stream(load, crowd, press, window=1))


def saturated(load: Load) -> Figures:
    """One channel, as fast as it goes."""
    with load.crowd(load.sizes.subscribers, _one) as crowd, load.press(PUBLISHERS, ("bench-one",)) as press:
        yield from _deliveries(stream(load, crowd, press, window=32))


def steady(load: Load) -> Figures:
    """One channel, at a rate that is far from the limit: what clients wait."""
    with load.crowd(load.sizes.subscribers, _one) as crowd, load.press(4, ("bench-one",)) as press:
        yield from _deliveries(stream(load, crowd, press, rate=load.sizes.rate))


def small(load: Load) -> Figures:
    """Many channels with two subscribers each."""
    channels = [f"bench-{number:06d}" for number in range(load.sizes.channels)]
    with (
        load.crowd(2 * len(channels), lambda number: (channels[number % len(channels)],)) as crowd,
        load.press(PUBLISHERS, channels) as press,
    ):
        streamed = stream(load, crowd, press, window=MANY_WINDOW)
    lap = streamed.lap
    yield from _micro("CPU per publish with its two deliveries", lap.server, streamed.published)
    yield Figure("publishes", "1/s", streamed.published / lap.seconds)
    yield from streamed.delivery_percentiles()
    yield from _shares(lap)
    yield from streamed.faults()


def _publish(load: Load, batch: int) -> Figures:
    with load.crowd(0, _one) as crowd, load.press(PUBLISHERS, ("void-one",), batch) as press:
        streamed = stream(load, crowd, press)
    lap = streamed.lap
    yield from _micro("CPU per event", lap.server, streamed.published)
    yield Figure("events", "1/s", streamed.published / lap.seconds)
    yield from percentiles("answer", streamed.answer_times)
    yield from _shares(lap)
    yield from streamed.faults()


def publish(load: Load) -> Figures:
    """Publish where nobody subscribes."""
    return _publish(load, 1)


def batch(load: Load) -> Figures:
    """Publish in batches where nobody subscribes."""
    return _publish(load, BATCH)


def _connect(load: Load, channels: Callable[[int], Sequence[str]]) -> Figures:
    count, before = load.sizes.connections, load.resident()
    load.lap()
    with load.crowd(count, channels) as crowd:
        lap = load.lap()
        yield from _micro("CPU per connection", lap.server, count)
        yield Figure("connections", "1/s", count / lap.seconds)
        yield from percentiles("subscribed after", crowd.ready_times)
        yield from _shares(lap)
        yield from _kept(load, before, count)


def connect_own(load: Load) -> Figures:
    """Connect, and subscribe to a channel of one's own."""
    return _connect(load, _own)


def connect_one(load: Load) -> Figures:
    """Connect, and subscribe to the channel all are on."""
    return _connect(load, _one)


def idle(load: Load) -> Figures:
    """Nothing happens, except that the server looks after its connections."""
    count = load.sizes.connections
    with load.crowd(count, _own) as crowd:
        load.settle()
        load.lap()
        load.loop.during(load.sizes.idle)
        lap = load.lap()
        if lap.server is not None:
            yield Figure("server's CPU", "%", lap.server / lap.seconds * 100)
        if crowd.failed:
            yield Figure(CUT_OFF, "", len(crowd.failed))


def leave(load: Load) -> Figures:
    """Many go at the same time, each from several of many channels; somebody who stays waits for his answers."""
    for count in (max(1, load.sizes.connections // 10), load.sizes.connections):
        yield from _leave(load, count)


def _leave(load: Load, count: int) -> Figures:
    whole = min(load.sizes.channels, count)
    names = [f"bench-{number:06d}" for number in range(whole)]
    several = min(SUBSCRIPTIONS, whole)
    with load.crowd(1, lambda _: ("stays",)) as staying:
        with load.crowd(count, lambda number: [names[(number + step) % whole] for step in range(several)]) as crowd:
            load.settle()
            probe = Probe(load.loop, staying)
            load.lap()
            for number, subscriber in enumerate(crowd.subscribers):
                subscriber.close()
                if not number % 20:
                    probe.turn()
        probe.wait_until_quick(load.sizes.patience)
        lap = load.lap()
        yield from _micro("CPU per connection", lap.server, count, count)
        yield Figure("longest wait of one who stays", "ms", probe.longest * 1e3, count)
        if left := _left_over(load, names):
            yield Figure(LEFT, "", left, count)


def _left_over(load: Load, names: Iterable[str]) -> int:
    """Count the channels that stay occupied; a client's end that the kernel lost is sent again after a moment."""
    end = time.monotonic() + load.sizes.patience
    while (left := len(set(_occupied(load)).intersection(names))) and time.monotonic() < end:
        load.loop.during(_ASK_AGAIN)
    return left


def _occupied(load: Load) -> Iterable[str]:
    """Ask which channels are occupied."""
    try:
        with socket.create_connection(load.serving.api, ANSWER_PATIENCE) as sock:
            sock.sendall(request(load.serving, "GET", "/channels"))
            response = HTTPResponse(sock)
            response.begin()
            channels: Iterable[str] = json.loads(response.read())["channels"]
    except (OSError, HTTPException, ValueError, KeyError) as fault:
        raise Fault(f"it does not tell which channels are occupied: {fault!r}") from None
    return channels


def curve(load: Load) -> Figures:
    """One channel, one event at a time, of several sizes."""
    for size in load.sizes.curve:
        with load.crowd(size, _one) as crowd, load.press(1, ("bench-one",)) as press:
            streamed = stream(load, crowd, press, window=1)
        yield from _micro("CPU per delivery", streamed.lap.server, streamed.delivered, size)
        yield from percentiles("latency", streamed.latencies, size)
        yield from streamed.faults(size)
        load.settle()


def presence(load: Load) -> Figures:
    """Users join one presence channel, and those who are there are told of each."""
    members = load.sizes.members
    with load.crowd(members, lambda _: ()) as crowd:
        load.settle()
        for step in range(1, STEPS + 1):
            joined, told = crowd.joined, crowd.delivered
            load.lap()
            _join(load, crowd, members * step // STEPS)
            lap, joins = load.lap(), crowd.joined - joined
            yield from _micro("CPU per join", lap.server, joins, crowd.joined)
            yield from _micro("CPU per message", lap.server, joins + crowd.delivered - told, crowd.joined)
        missing = members * members - crowd.met - crowd.delivered
        yield Figure(LOST, "deliveries", max(0, missing))
        if missing < 0:
            yield Figure(EXTRA, "", -missing)


def _join(load: Load, crowd: Crowd, members: int) -> None:
    """Have members join until there are so many, and each knows of all: from his roster, or because he was told."""
    while crowd.asked < members:
        crowd.wait(lambda: crowd.asked - crowd.joined < PUBLISHERS or bool(crowd.failed))
        crowd.join(crowd.subscribers[crowd.asked], "presence-bench", f"{MARK.decode()}{crowd.asked:06d}")
    load.loop.until(
        lambda: bool(crowd.failed) or (crowd.joined >= members and crowd.met + crowd.delivered >= members * members),
        lambda: (crowd.joined, crowd.delivered),
        load.sizes.patience,
    )
    crowd.check()


WORKLOADS = (
    Workload("fan-out", lambda s: f"Fan-out to {s.subscribers:,} subscribers, one event at a time", fan_out),
    Workload("saturated", lambda s: f"Fan-out to {s.subscribers:,} subscribers, 32 events outstanding", saturated),
    Workload("steady", lambda s: f"Fan-out to {s.subscribers:,} subscribers, {s.rate:g} events a second", steady),
    Workload("small", lambda s: f"{s.channels:,} channels with 2 subscribers each, 64 publishes outstanding", small),
    Workload("connect-own", lambda s: f"Connect and subscribe, {s.connections:,}, a channel each", connect_own),
    Workload("connect-one", lambda s: f"Connect and subscribe, {s.connections:,} on one channel", connect_one),
    Workload("publish", lambda s: f"Publish over REST, nobody subscribed, {PUBLISHERS} connections", publish),
    Workload("batch", lambda s: f"Publish over REST, {BATCH} events per request, nobody subscribed", batch),
    Workload("idle", lambda s: f"{s.connections:,} idle connections for {s.idle:g} s", idle),
    Workload("leave", lambda s: f"All leave at once, each from {SUBSCRIPTIONS} of {s.channels:,} channels", leave),
    Workload("curve", lambda s: "Fan-out, one event at a time, by subscribers", curve),
    Workload("presence", lambda s: f"{s.members:,} users join one presence channel, by members then present", presence),
)
