"""A back end that publishes at a steady rate, and clients that count what they hear of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Self

from tests.api.requests import signed_target
from tests.cluster.listener import Listener
from tests.server import PATIENCE, Server, wait_for

EVENT = "counted"


class Publisher:
    """Publishes numbers from 0 on, through one node, on a connection that stays open; use it as a context manager.

    :param rate: events in a second.
    :ivar published: how many were accepted with a 200.
    :ivar refused: the other statuses that there were.
    """

    def __init__(self, node: Server, channel: str, rate: int) -> None:
        self._node = node
        self._channel = channel
        self._interval = 1 / rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self.published = 0
        self.refused: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def _publish(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._node.api_port, timeout=PATIENCE)
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += self._interval
            event = {"name": EVENT, "channel": self._channel, "data": str(self.published)}
            body = json.dumps(event).encode()
            connection.request("POST", signed_target("POST", "/apps/3/events", (), body, int(time.time())), body)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                self.published += 1
            else:
                self.refused.append(answer.status)
        connection.close()


class Tally:
    """What listeners heard of a publisher."""

    def __init__(self, published: int, listeners: Sequence[Listener], channel: str) -> None:
        self.published = published
        self._heard = [listener.heard(EVENT, channel) for listener in listeners]

    @classmethod
    def when_complete(cls, published: int, listeners: Sequence[Listener], channel: str) -> Tally:
        """Wait until each listener has heard as many different events as were published, or for some time."""
        with suppress(AssertionError):  # the figures tell
            wait_for("all events", lambda: not cls(published, listeners, channel).missing)
        return cls(published, listeners, channel)

    @property
    def received(self) -> list[int]:
        """Tell how many events each listener heard."""
        return [len(heard) for heard in self._heard]

    @property
    def missing(self) -> int:
        """Count the events that a listener never heard."""
        return sum(self.published - len(set(heard)) for heard in self._heard)

    @property
    def duplicates(self) -> int:
        """Count the events that a listener heard before."""
        return sum(len(heard) - len(set(heard)) for heard in self._heard)

    @property
    def order_faults(self) -> int:
        """Count the events that came after a later one."""
        return sum(later < earlier for heard in self._heard for earlier, later in pairwise(heard))

    @property
    def faults(self) -> tuple[int, int, int]:
        """Tell what should not be: events missing, duplicates, order faults."""
        return self.missing, self.duplicates, self.order_faults

    def __str__(self) -> str:
        return (
            f"published {self.published}, received {'/'.join(map(str, self.received))}, missing {self.missing},"
            f" duplicates {self.duplicates}, order faults {self.order_faults}"
        )
