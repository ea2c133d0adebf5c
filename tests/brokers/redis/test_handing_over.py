"""A node that leaves hands its users over to the others, and nobody notices who comes back in time."""

from __future__ import annotations

from typing import Any

from slanger.brokers.redis import holdings, lease
from tests.brokers.redis.cluster import LEASE, RedisTestCase
from tests.builders import make_member

ROOM = "presence-room"

HANDOVER = 3
"""Seconds for which users stay here."""

OVER = HANDOVER + 1 + LEASE
"""Seconds after which an ending is told at the latest: a second is rounded up, and a beat has to come."""


class HandingOver(RedisTestCase):
    """Three nodes, of which one leaves; on one of the others somebody stays who sees who comes and goes."""

    def setUp(self) -> None:
        """Have less time."""
        super().setUp()
        for module in (holdings, lease):
            self.patch(module, "HANDOVER", HANDOVER)

    async def begin(self) -> None:
        """Have a witness, and two users who are present only through the node that leaves."""
        self.leaving, _ = await self.joined()
        self.staying, self.node_staying = await self.joined()
        self.third, _ = await self.joined()
        await self.enter(self.staying, "witness")
        for user_id in ("ann", "bob"):
            await self.enter(self.leaving, user_id)
        await self.until(lambda: len(self.node_staying.told) == 3)
        self.node_staying.told.clear()

    async def enter(self, broker: Any, user_id: str, channel: str = ROOM) -> None:
        """Let a user in."""
        await broker.enter(self.app, channel, make_member(user_id), user_id)

    def occurrences(self) -> list[tuple[str, str | object]]:
        """Give what the app was told, by whichever node."""
        brokers: list[Any] = self.brokers
        return [(each.name, each.user_id) for broker in brokers for each in broker._node.occurrences]

    async def leave(self) -> None:
        """Let the node leave, in the steps of a drain: its users first."""
        self.leaving.hand_over()
        for user_id in ("ann", "bob"):
            self.leaving.leave(self.app, ROOM, user_id, user_id)
        await self.let_pass(0.1)
        self.leaving.wind_up()
        self.brokers.remove(self.leaving)
        await self.leaving.stopService()

    async def test_back_in_time(self) -> None:
        """Presence: who comes to another node in time was never gone, though the node he was on is."""
        await self.begin()
        await self.leave()
        for user_id, broker in (("ann", self.staying), ("bob", self.third)):
            await self.enter(broker, user_id)
        await self.let_pass(OVER)
        self.assertEqual(self.node_staying.told, [])
        self.assertEqual(sorted(await self.third.users(self.app, ROOM)), ["ann", "bob", "witness"])
        self.assertEqual([kind for kind, user in self.occurrences() if kind == "member_removed"], [])
        for user_id, broker in (("ann", self.staying), ("bob", self.third)):
            broker.leave(self.app, ROOM, user_id, user_id)
        await self.until(lambda: len(self.node_staying.told) == 2)

    async def test_not_back(self) -> None:
        """Presence: who does not come back is gone after a time, not before, once; the survivors see to it."""
        await self.begin()
        await self.leave()
        await self.enter(self.staying, "bob")
        await self.let_pass(HANDOVER - 0.5)
        self.assertEqual(self.node_staying.told, [])
        await self.let_pass(OVER - HANDOVER + 0.5)
        self.assertEqual(self.node_staying.told, [("removed", ROOM, "ann")])
        await self.until(lambda: ("member_removed", "ann") in self.occurrences())
        removals = [user_id for kind, user_id in self.occurrences() if kind == "member_removed"]
        self.assertEqual(removals, ["ann"])
        self.assertEqual(sorted(await self.third.users(self.app, ROOM)), ["bob", "witness"])
        self.assert_nothing_handed()

    async def test_without_goodbye(self) -> None:
        """Presence: what a node still holds when it leaves is let go of after that time, too."""
        await self.begin()
        self.brokers.remove(self.leaving)
        await self.leaving.stopService()
        await self.enter(self.third, "bob")
        await self.let_pass(HANDOVER - 0.5)
        self.assertEqual(self.node_staying.told, [])
        await self.let_pass(OVER - HANDOVER + 0.5)
        self.assertEqual(self.node_staying.told, [("removed", ROOM, "ann")])

    async def test_twice(self) -> None:
        """Presence: who comes back to the leaving node itself and leaves again is counted once, and goes once."""
        await self.begin()
        self.leaving.hand_over()
        for _ in range(3):
            self.leaving.leave(self.app, ROOM, "ann", "ann")
            await self.enter(self.leaving, "ann")
        self.leaving.leave(self.app, ROOM, "ann", "ann")
        await self.let_pass(OVER + 1)
        self.assertEqual(self.node_staying.told, [("removed", ROOM, "ann")])
        self.assert_nothing_handed()
        self.assertEqual(self.redis.admin.hgetall(self.key(f"holders:{ROOM}")), {b"witness": b"1", b"bob": b"1"})

    def assert_nothing_handed(self) -> None:
        """Check that nothing is left of what was handed over."""
        keys: Any = self.redis.admin.keys(f"{self.prefix}:*~*")
        self.assertEqual((keys, self.redis.admin.zcard(f"{self.prefix}:0:dead")), ([], 0))
