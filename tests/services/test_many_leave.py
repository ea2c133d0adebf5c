"""Many who leave at once."""

from __future__ import annotations

import sys
from typing import Self

from twisted.trial.unittest import SynchronousTestCase

from tests.builders import Client, MemoryNode, make_app

EACH = 5
"""Channels that each is on."""

TOGETHER = 10
"""Clients that share their channels."""


class Calls:
    """Counts calls, of Python and of C; use it as a context manager."""

    def __init__(self) -> None:
        self.count = 0
        self._before = sys.getprofile()

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *fault: object) -> None:
        sys.setprofile(self._before)

    def _note(self, _frame: object, what: str, _subject: object) -> None:
        self.count += what in ("call", "c_call")


class ManyLeave(SynchronousTestCase):
    """Speed: what it takes to forget a client does not grow with how many there are."""

    def effort(self, count: int, prefix: str) -> int:
        """Tell how many calls, of Python and of C, it takes until so many have left."""
        node = MemoryNode(make_app())
        clients = [Client(node) for _ in range(count)]
        for number, client in enumerate(clients):
            for each in range(EACH):
                user_id = str(number) if prefix else None
                client.subscribe(f"{prefix}{number // TOGETHER}-{each}", user_id)
        with Calls() as calls:
            for client in clients:
                client.go()
            node.clock.advance(0)
        self.assertEqual((len(node.registry), len(node.subscribers)), (0, 0))
        node.stop()
        return calls.count

    def test_linear(self) -> None:
        """Gone: eight times as many take eight times as much, on public channels and on presence channels."""
        for prefix in ("", "presence-"):
            few, many = self.effort(100, prefix), self.effort(800, prefix)
            self.assertGreater(few, 100 * EACH)
            self.assertLess(many, 8.4 * few)


class OneRoster(SynchronousTestCase):
    """Presence: what it takes to join does not grow with those present, beyond telling them."""

    def effort(self, present: int) -> int:
        """Tell how many calls it takes one more to join, those aside that tell the others."""
        node = MemoryNode(make_app(presence_members=10**6))
        clients = [Client(node) for _ in range(present + 1)]
        for number, client in enumerate(clients[1:]):
            client.subscribe("presence-room", str(number))
        with Calls() as calls:
            clients[0].subscribe("presence-room", "new")
        node.stop()
        return calls.count

    def test_flat(self) -> None:
        """Presence: with a thousand more present a join takes more by what it takes to tell each of them."""
        alone, told = self.effort(10), self.effort(1010)
        a_send = 2  # of a wire in memory: it appends
        self.assertLessEqual(told - alone, 1000 * a_send)
