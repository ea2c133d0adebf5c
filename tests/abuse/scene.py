"""All of them together: the server, the well-behaved, and an abuser of each kind; and what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from slanger.services.memory import INTERVAL as INTERVAL_OF_MEMORY
from tests.abuse.abuser import Abuser
from tests.abuse.bystanders import BATCH, Bystanders
from tests.abuse.bystanders import EVENTS_PER_SECOND as RATE
from tests.abuse.footprint import Footprint, footprint
from tests.abuse.kinds import HANDS, KINDS, Kind
from tests.conformance.table import grid
from tests.sdk.driver import Driver
from tests.server import INTERVAL, Server, let_pass

CLIENTS = 6
PERCENT = 10.0
"""By how much more memory may be resident in the end."""

PAUSE = 0.2
"""Seconds between two times of the same abuse, that no kind takes all there is."""

CALM = 60.0
"""Seconds that the server has, when all is over, to give back what it holds."""

STEADY = 3.0 * INTERVAL_OF_MEMORY
"""Seconds without a change after which the server is calm: three looks of its own at its memory."""

FAULTS = ("Traceback", "Unhandled")
"""What is not to be found in the server's log."""


@dataclass
class Outcome:
    """What came of a scene.

    :ivar seconds: of abuse, after the warm-up.
    :ivar sending: seconds for which events were sent, the warm-up and the calm included.
    :ivar fresh: what the server held when the well-behaved were there, and nobody else.
    :ivar start: what it held when it had been warmed up.
    :ivar peak: the most it held, of each.
    :ivar end: what it held when it was calm again.
    """

    seconds: float
    sending: float
    fresh: Footprint
    start: Footprint
    peak: Footprint
    end: Footprint
    clients: int
    sent: int
    lost: int
    reconnected: int
    slowest: float
    faults: int
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def complaints(self) -> list[str]:
        """Tell what is not as it should be."""
        idle = [name for name in KINDS if not self.done[name]]
        checks = (
            (self.sent < RATE * self.sending - BATCH, f"only {self.sent} events were sent in {self.sending:.0f} s"),
            (self.lost, f"{self.lost} events did not come, or not in order"),
            (self.reconnected, f"well-behaved clients lost their connection {self.reconnected} times"),
            (self.faults, f"the server logged {self.faults} failures"),
            (
                not self.end.within(PERCENT, self.start),
                f"the server held {self.start} at the start, {self.end} in the end",
            ),
            (idle, f"never done: {', '.join(idle)}"),
        )
        return [complaint for wrong, complaint in checks if wrong]

    def __str__(self) -> str:
        rows = [
            ("abuse", "times", "not let in"),
            *((each, f"{self.done[each]:,}", f"{self.refused[each]:,}") for each in KINDS),
        ]
        return "\n".join(
            (
                grid(rows),
                f"{self.sent} events in {self.sending:.0f} s to each of {self.clients} clients: {self.lost} lost",
                f"{self.reconnected} connections lost, slowest request {self.slowest * 1000:.0f} ms",
                f"server: {self.fresh} when fresh; {self.start} when warm; {self.peak} at most; {self.end} in the end",
                f"failures logged: {self.faults}",
                "",
            )
        )


class Mob:
    """An abuser for each kind, or some, each in a thread.

    :param done: counts what was done, by kind.
    :param refused: counts the attempts that the server broke off.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        names = [name for name in KINDS for _ in range(HANDS.get(name, 1))]
        ports = server.websocket_port, server.api_port
        self._abusers = [Abuser(*ports, seed + number) for number in range(len(names))]
        self._threads = [
            threading.Thread(target=self._abuse, args=(abuser, name, KINDS[name]))
            for abuser, name in zip(self._abusers, names, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop, and wait until all are gone."""
        for abuser in self._abusers:
            abuser.over.set()
        for thread in self._threads:
            thread.join()

    def _abuse(self, abuser: Abuser, name: str, kind: Kind) -> None:
        while not abuser.over.is_set():
            try:
                self.done[name] += kind(abuser)
            except OSError:
                self.refused[name] += 1
            if name not in HANDS:
                abuser.rest(PAUSE)


def play(driver: Driver, server: Server, seconds: float) -> Outcome:
    """Have a server abused for so long, warmed up by a quarter of that."""
    bystanders = Bystanders(driver, server, CLIENTS)
    fresh = footprint(server.pid)
    bystanders.begin()
    _abused(server, seconds / 4, seed=1)
    start = _calm(server, None)
    mob, peak = _abused(server, seconds, seed=2)
    end = _calm(server, start)
    bystanders.end()
    outcome = Outcome(
        seconds=seconds,
        sending=bystanders.seconds,
        fresh=fresh,
        start=start,
        peak=peak,
        end=end,
        clients=CLIENTS,
        sent=bystanders.sent,
        lost=bystanders.lost(),
        reconnected=bystanders.reconnected(),
        slowest=bystanders.slowest,
        faults=sum(server.log.count(fault) for fault in FAULTS),
        done=mob.done,
        refused=mob.refused,
    )
    bystanders.leave()
    return outcome


def _abused(server: Server, seconds: float, seed: int) -> tuple[Mob, Footprint]:
    """Let the mob loose; tell the most that the server held meanwhile."""
    mob = Mob(server, seed)
    deadline = time.monotonic() + seconds
    resident = descriptors = 0
    while time.monotonic() < deadline:
        now = footprint(server.pid)
        resident, descriptors = max(resident, now.resident), max(descriptors, now.descriptors)
        let_pass(INTERVAL * 10)
    mob.end()
    return mob, Footprint(resident, descriptors)


def _calm(server: Server, start: Footprint | None) -> Footprint:
    """Wait until the server holds what it held at the start; where that is not known, until it lets nothing more go."""
    deadline = time.monotonic() + CALM
    now = footprint(server.pid)
    steady = time.monotonic()
    while time.monotonic() < deadline:
        before, now = now, footprint(server.pid)
        if now.descriptors != before.descriptors or now.resident < before.resident - 2**18:
            steady = time.monotonic()
        if start is not None and now.within(PERCENT, start):
            break
        if start is None and time.monotonic() - steady > STEADY:
            break
        let_pass(INTERVAL * 10)
    return now
