"""The well-behaved: official clients on one channel, and the app that sends them events, each with a number."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tests.sdk.case import JsClient, fresh
from tests.sdk.driver import Driver
from tests.sdk.sdks import PythonSdk
from tests.server import Server

EVENTS_PER_SECOND = 20
EVENT = "tick"
BATCH = 10


class Bystanders:
    """Some clients, of each build of pusher-js, who want every event.

    :param clients: how many.
    """

    def __init__(self, driver: Driver, server: Server, clients: int) -> None:
        self._driver = driver
        self._sdk = PythonSdk(server)
        self.channel = fresh("private-bystanders")
        builds = ("pusher-js", "pusher-js/with-encryption")
        self._clients = [JsClient(driver, server, library=builds[each % 2]) for each in range(clients)]
        for client in self._clients:
            client.expect("connected")
            client.subscribe(self.channel)
        self.sent = 0
        self.slowest = 0.0
        self._over = threading.Event()
        self._sender = threading.Thread(target=self._send)

    def begin(self) -> None:
        """Begin to send."""
        self._sender.start()

    def end(self) -> None:
        """Send no more, and wait until all has come, or nothing more comes."""
        self._over.set()
        self._sender.join()
        self.seconds = time.monotonic() - self._begun
        self._sdk.trigger([self.channel], "last", {})
        for client in self._clients:
            client.expect("last", self.channel)

    def received(self) -> Sequence[Sequence[int]]:
        """Tell the numbers that each client has heard, in the order they came."""
        return [[seen.data["number"] for seen in client.seen(EVENT, self.channel)] for client in self._clients]

    def lost(self) -> int:
        """Count what did not come, or came out of its order, over all clients."""
        expected = list(range(self.sent))
        return sum(len(set(expected) - set(heard)) + (heard != sorted(set(heard))) for heard in self.received())

    def reconnected(self) -> int:
        """Count the times that a client has lost its connection."""
        return sum(len(client.seen("disconnected", scope="connection")) for client in self._clients)

    def leave(self) -> None:
        """Be gone."""
        for client in self._clients:
            client.disconnect()

    def _send(self) -> None:
        self._begun = time.monotonic()
        while not self._over.is_set():
            asked = time.monotonic()
            due = int((asked - self._begun) * EVENTS_PER_SECOND) + 1
            numbers = range(self.sent, min(due, self.sent + BATCH))
            events = [{"channel": self.channel, "name": EVENT, "data": {"number": number}} for number in numbers]
            if len(events) > 1:
                self._sdk.trigger_batch(events)  # the app is behind: what is due goes together
            elif events:
                self._sdk.trigger([self.channel], EVENT, events[0]["data"])
            self.slowest = max(self.slowest, time.monotonic() - asked)
            self.sent += len(events)
            self._over.wait(max(0.0, self._begun + self.sent / EVENTS_PER_SECOND - time.monotonic()))
