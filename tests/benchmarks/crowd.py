"""A crowd of subscribers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tests.benchmarks.faults import Fault
from tests.benchmarks.loop import Loop
from tests.benchmarks.requests import sign
from tests.benchmarks.subscribers import Heard, Subscriber
from tests.benchmarks.targets import Serving

IN_FLIGHT = 64
"""Connections that are being made at the same time."""

CONNECT_PATIENCE = 20.0
"""Seconds in which at least one more connection must have been made."""


class Crowd(Heard):
    """Subscribers of one server; use it as a context manager, at whose end all go."""

    def __init__(self, loop: Loop, serving: Serving) -> None:
        super().__init__(loop, serving)
        self.subscribers: list[Subscriber] = []
        self.asked = 0
        """Subscriptions asked for with `join`."""

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *fault: object) -> None:
        for subscriber in self.subscribers:
            subscriber.close()

    def gather(self, count: int, channels: Callable[[int], Sequence[str]]) -> None:
        """Connect so many more subscribers, and put each on his channels.

        :param channels: names them, by the number of the subscriber.
        :raises Fault: some are refused, or not answered.
        """
        for number in range(count):
            self.wait(lambda: len(self.subscribers) - self.ready - len(self.failed) < IN_FLIGHT)
            self.subscribers.append(Subscriber(self, len(self.subscribers), tuple(channels(number))))
        self.wait(lambda: bool(self.failed) or self.ready == len(self.subscribers))
        self.check()

    def join(self, subscriber: Subscriber, channel: str, user_id: str) -> None:
        """Put a connected subscriber on a presence channel."""
        self.asked += 1
        data = json.dumps({"user_id": user_id, "user_info": {"name": "A user of benchmarks"}})
        signature = sign(self.serving.secret, f"{subscriber.socket_id}:{channel}:{data}")
        subscriber.subscribe(channel, auth=f"{self.serving.key}:{signature}", channel_data=data)

    def check(self) -> None:
        """Check that all are still there.

        :raises Fault: the server has ended or refused some.
        """
        if self.failed:
            raise Fault(
                f"{len(self.failed):,} of {len(self.subscribers):,} subscribers were refused or cut off: "
                f"{self.complaint}"
            )

    def wait(self, happened: Callable[[], bool]) -> None:
        """Wait for connections and subscriptions.

        :raises Fault: there is no more progress.
        """
        if not self.loop.until(happened, lambda: self.established + self.joined + self.delivered, CONNECT_PATIENCE):
            self.check()
            raise Fault(
                f"after {self.established:,} connections and {self.joined:,} subscriptions there were no more for "
                f"{CONNECT_PATIENCE:g} s: {self.complaint}"
            )
