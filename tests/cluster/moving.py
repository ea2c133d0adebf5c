"""A deploy: the clients of a node are sent away, and come to another. `python -m tests.cluster.moving` measures it."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.cluster.case import show
from tests.cluster.crowd import Visitor
from tests.cluster.nodes import Node, start_all
from tests.cluster.redis import RedisServer
from tests.server import PATIENCE

ROOM = 50
"""Clients on each presence channel."""

AT_ONCE = 100
"""Clients that connect at the same time at the start."""

INTERVAL = 0.01
"""Seconds between two looks at whether something has happened."""

DEAD = "slanger:0:dead"
"""The key in Redis that names what is to be let go of."""

ADDED, WITNESS, MARKER = "pusher_internal:member_added", "witness", "marker"


@dataclass(frozen=True, slots=True)
class Report:
    """How it went.

    :ivar status: exit status of the node that was told to stop.
    :ivar took: seconds from the signal to its end.
    :ivar waits: seconds from an attempt to connect to `connection_established`, of each client that moved.
    :ivar away: seconds from being sent away to being subscribed again, of each.
    :ivar codes: close codes that clients were sent.
    :ivar witnessed: events that those were sent who stayed.
    """

    status: int
    took: float
    waits: list[float]
    away: list[float]
    codes: list[int]
    witnessed: list[tuple[str, str | None]]

    def __str__(self) -> str:
        return (
            f"{len(self.waits)} clients moved in {self.took:.1f} s, exit status {self.status},"
            f" close codes {sorted(set(self.codes))}\n"
            f"from an attempt to connect to connection_established: {_figures(self.waits)}\n"
            f"from being sent away to being subscribed again: {_figures(self.away)}\n"
            f"events for those who stayed: {len(self.witnessed)}"
        )


def _figures(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds) * 1000:.1f} ms, worst {max(seconds) * 1000:.0f} ms"


async def move(redis: RedisServer, leaving: Node, staying: Node, count: int) -> Report:
    """Fill a node with clients, send it SIGTERM, and wait until all is over; both nodes run already."""
    ports = leaving.websocket_port, staying.websocket_port
    rooms = [f"presence-room-{number}" for number in range(-(-count // ROOM))]
    visitors = [Visitor(ports, f"user-{number}", rooms[number // ROOM]) for number in range(count)]
    witnesses = [Visitor(ports[1:], WITNESS, room) for room in rooms]
    markers = [Visitor(ports[1:], MARKER, room) for room in rooms]
    await _bring(visitors)
    await _bring(witnesses)
    began = time.monotonic()
    leaving.signal(signal.SIGTERM)
    status = await asyncio.to_thread(leaving.wait)
    took = time.monotonic() - began
    await _until(lambda: all(visitor.subscribed and visitor.codes for visitor in visitors))
    await _until(lambda: not redis.admin.zcard(DEAD))  # who would be taken for gone, is by then
    await _bring(markers)
    await _until(lambda: all((ADDED, MARKER) in witness.events for witness in witnesses))
    for each in (*visitors, *witnesses, *markers):
        each.leave()
    return Report(
        status,
        took,
        waits=[visitor.waits[-1] for visitor in visitors],
        away=[visitor.back_at - visitor.sent_away_at for visitor in visitors],
        codes=[code for visitor in visitors for code in visitor.codes],
        witnessed=[event for witness in witnesses for event in witness.events if event[1] not in (MARKER, WITNESS)],
    )


async def _bring(visitors: Sequence[Visitor]) -> None:
    """Let visitors in, some at a time."""
    for first in range(0, len(visitors), AT_ONCE):
        some = visitors[first : first + AT_ONCE]
        await asyncio.gather(*(visitor.connect() for visitor in some))
        await _until(lambda some=some: all(visitor.subscribed for visitor in some))  # type: ignore[misc]


async def _until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - there is nobody who would tell
            await asyncio.sleep(INTERVAL)


def main() -> None:
    """Measure a deploy."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--drain-seconds", type=int, default=10)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with RedisServer() as redis, ExitStack() as stack:
        nodes = [Node(redis.url, f"--drain-seconds={arguments.drain_seconds}") for _ in range(2)]
        start_all(nodes, stack)
        leaving, staying = nodes
        show(str(asyncio.run(move(redis, leaving, staying, arguments.clients))))


if __name__ == "__main__":
    main()
