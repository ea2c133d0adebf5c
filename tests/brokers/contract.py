"""What every broker must do, whatever ties it to its peers; written against `slanger.interfaces` alone.

A test case takes the contract in and says how its brokers are made. The tests are coroutines, and what is told to a
node is looked at once `settle` says that all of it is known: so a broker may ask others before it answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from slanger.domain.channels import Counts
from slanger.interfaces import IBroker
from slanger.protocol import codec
from slanger.protocol.errors import SubscriptionRefused
from tests.builders import Json, Node, make_app, make_member

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    TestCase = object

ROOM = "presence-room"


class BrokerContract(TestCase):
    """The contract of `IBroker`: mix it into a trial `TestCase` that makes brokers."""

    def make_broker(self) -> IBroker:
        """Make a broker; each call makes another node of one cluster, which is empty at the first."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until what was asked of any broker has reached every node; by default nothing takes time."""

    async def begin(self) -> None:
        """Make the first node; each test begins with it."""
        self.app = make_app(presence_members=2)
        self.broker, self.node = self.attached()

    def attached(self) -> tuple[IBroker, Node]:
        """Make a broker with its node."""
        broker, node = self.make_broker(), Node()
        broker.attach(node)
        return broker, node

    async def enter(self, user_id: str, socket_id: str, info: str | None = None, channel: str = ROOM) -> Json:
        """Let a connection in; give the presence object it is told."""
        roster = json.loads(await self.broker.enter(self.app, channel, make_member(user_id, info), socket_id))
        assert list(roster) == ["presence"]
        presence: Json = roster["presence"]
        return presence

    async def told(self) -> Sequence[tuple[str, str, str]]:
        """Say what the node was told so far."""
        await self.settle()
        return self.node.told

    async def test_interface(self) -> None:
        """It provides `IBroker`."""
        await self.begin()
        self.assertTrue(verifyObject(IBroker, self.broker))

    async def test_first_connection(self) -> None:
        """Presence: the node hears of a user's first connection before the connection is let in."""
        await self.begin()
        entering = self.broker.enter(self.app, ROOM, make_member("7"), "1.1")
        heard: list[object] = []
        entering.addCallback(lambda _roster: heard.extend(self.node.told))
        await entering
        self.assertEqual(heard, [("added", ROOM, "7")])

    async def test_roster(self) -> None:
        """Success: the roster has each user once with his info, the joiner included."""
        await self.begin()
        await self.enter("7", "1.1", '{"name":"Ann"}')
        presence = await self.enter("8", "2.2")
        self.assertEqual(sorted(presence["ids"]), ["7", "8"])
        self.assertEqual((presence["count"], presence["hash"]), (2, {"7": {"name": "Ann"}, "8": None}))

    async def test_second_connection(self) -> None:
        """Presence: a user's second connection is let in, and nobody hears of it."""
        await self.begin()
        await self.enter("7", "1.1")
        presence = await self.enter("7", "2.2")
        self.assertEqual(presence, {"count": 1, "ids": ["7"], "hash": {"7": None}})
        self.assertEqual(await self.told(), [("added", ROOM, "7")])

    async def test_other_info(self) -> None:
        """Presence: same user with other info is one member, and the first info stands till his last has left."""
        await self.begin()
        await self.enter("7", "1.1", '{"name":"Ann"}')
        presence = await self.enter("7", "2.2", '{"name":"Bo"}')
        self.assertEqual(presence, {"count": 1, "ids": ["7"], "hash": {"7": {"name": "Ann"}}})
        self.broker.leave(self.app, ROOM, "7", "1.1")
        self.assertEqual((await self.enter("8", "3.3"))["hash"]["7"], {"name": "Ann"})
        self.broker.leave(self.app, ROOM, "7", "2.2")
        self.assertEqual((await self.enter("7", "4.4", '{"name":"Cy"}'))["hash"]["7"], {"name": "Cy"})

    async def test_last_connection(self) -> None:
        """Presence: the node hears of a user's last connection, not of one before."""
        await self.begin()
        await self.enter("7", "1.1")
        await self.enter("7", "2.2")
        self.broker.leave(self.app, ROOM, "7", "1.1")
        self.assertEqual(await self.told(), [("added", ROOM, "7")])
        self.broker.leave(self.app, ROOM, "7", "2.2")
        self.assertEqual(await self.told(), [("added", ROOM, "7"), ("removed", ROOM, "7")])

    async def test_unknown(self) -> None:
        """Letting go of nobody, of someone else's user, or twice, changes nothing and tells nobody."""
        await self.begin()
        self.broker.leave(self.app, ROOM, "7", "1.1")
        await self.enter("7", "1.1")
        self.broker.leave(self.app, ROOM, "7", "2.2")
        self.broker.leave(self.app, ROOM, "8", "1.1")
        self.broker.leave(self.app, "presence-other", "7", "1.1")
        self.assertEqual(await self.told(), [("added", ROOM, "7")])
        self.broker.leave(self.app, ROOM, "7", "1.1")
        self.broker.leave(self.app, ROOM, "7", "1.1")
        self.assertEqual(await self.told(), [("added", ROOM, "7"), ("removed", ROOM, "7")])

    async def test_order(self) -> None:
        """Calls take effect in the order they were made, though nobody waits: enter, leave, enter."""
        await self.begin()
        entering: list[Deferred[str]] = [self.broker.enter(self.app, ROOM, make_member("7"), "1.1")]
        self.broker.leave(self.app, ROOM, "7", "1.1")
        entering.append(self.broker.enter(self.app, ROOM, make_member("7"), "1.1"))
        for each in entering:
            await each
        self.assertEqual(await self.told(), [("added", ROOM, "7"), ("removed", ROOM, "7"), ("added", ROOM, "7")])

    async def test_cancelled(self) -> None:
        """A connection that gives up while it is let in, and leaves, leaves no ghost."""
        await self.begin()
        entering = self.broker.enter(self.app, ROOM, make_member("7"), "1.1")
        entering.addErrback(lambda failure: failure.trap(CancelledError))
        entering.cancel()
        self.broker.leave(self.app, ROOM, "7", "1.1")
        told = await self.told()
        self.assertIn(told, ([], [("added", ROOM, "7"), ("removed", ROOM, "7")]))
        self.assertEqual(list(await self.broker.users(self.app, ROOM)), [])

    async def test_full(self) -> None:
        """Presence, limits: a user beyond the limit is refused, and nobody hears of him."""
        await self.begin()
        await self.enter("7", "1.1")
        await self.enter("8", "2.2")
        with self.assertRaises(SubscriptionRefused) as caught:
            await self.enter("9", "3.3")
        self.assertEqual((caught.exception.channel, caught.exception.kind), (ROOM, "LimitReached"))
        self.assertNotIn(("added", ROOM, "9"), await self.told())
        self.assertEqual(sorted(await self.broker.users(self.app, ROOM)), ["7", "8"])

    async def test_full_of_users(self) -> None:
        """Presence, limits: users count, not connections; one who is there may come again."""
        await self.begin()
        for user_id, socket_id in (("7", "1.1"), ("7", "2.2"), ("7", "3.3"), ("8", "4.4"), ("8", "5.5")):
            await self.enter(user_id, socket_id)
        self.assertEqual((await self.enter("7", "6.6"))["count"], 2)

    async def test_room_again(self) -> None:
        """Presence, limits: who was refused holds no place, and who leaves makes room."""
        await self.begin()
        await self.enter("7", "1.1")
        await self.enter("8", "2.2")
        with self.assertRaises(SubscriptionRefused):
            await self.enter("9", "3.3")
        self.broker.leave(self.app, ROOM, "9", "3.3")
        self.broker.leave(self.app, ROOM, "8", "2.2")
        self.assertEqual(sorted((await self.enter("9", "3.3"))["ids"]), ["7", "9"])
        self.assertNotIn(("removed", ROOM, "9"), await self.told())

    async def test_users(self) -> None:
        """REST API, users: each user of a channel once, and none of an empty one."""
        await self.begin()
        self.assertEqual(list(await self.broker.users(self.app, ROOM)), [])
        for user_id, socket_id in (("7", "1.1"), ("7", "2.2"), ("8", "3.3")):
            await self.enter(user_id, socket_id)
        self.assertEqual(sorted(await self.broker.users(self.app, ROOM)), ["7", "8"])
        self.broker.leave(self.app, ROOM, "8", "3.3")
        self.assertEqual(list(await self.broker.users(self.app, ROOM)), ["7"])

    async def test_counts(self) -> None:
        """REST API, queries: connections on any channel, users on presence channels alone, 0 on one that is empty."""
        await self.begin()
        await self.enter("7", "1.1")
        await self.enter("7", "2.2")
        self.subscribed("news", 3)
        self.subscribed(ROOM, 2)
        await self.settle()
        counts = await self.broker.counts(self.app, ["news", ROOM, "empty", "presence-empty"])
        self.assertEqual(
            dict(counts),
            {"news": Counts(3), ROOM: Counts(2, 1), "empty": Counts(0), "presence-empty": Counts(0, 0)},
        )

    async def test_occupied(self) -> None:
        """REST API, queries: the occupied channels whose name begins so; all with an empty prefix."""
        await self.begin()
        self.assertEqual(dict(await self.broker.occupied(self.app, "")), {})
        await self.enter("7", "1.1")
        for channel in (ROOM, "news", "private-news"):
            self.subscribed(channel, 1)
        await self.settle()
        everything = {"news": Counts(1), "private-news": Counts(1), ROOM: Counts(1, 1)}
        self.assertEqual(dict(await self.broker.occupied(self.app, "")), everything)
        self.assertEqual(dict(await self.broker.occupied(self.app, "presence-")), {ROOM: Counts(1, 1)})
        self.assertEqual(dict(await self.broker.occupied(self.app, "n")), {"news": Counts(1)})
        self.assertEqual(dict(await self.broker.occupied(self.app, "x")), {})

    async def test_vacated(self) -> None:
        """REST API, queries: a channel that was left is not occupied."""
        await self.begin()
        self.subscribed("news", 1)
        del self.node.subscribed[self.app.key, "news"]
        self.broker.close(self.app, "news")
        await self.settle()
        self.assertEqual(dict(await self.broker.occupied(self.app, "")), {})
        self.assertEqual(dict(await self.broker.counts(self.app, ["news"])), {"news": Counts(0)})

    async def test_own_events(self) -> None:
        """Fan-out: a node's own events do not come back to it, whoever is excluded."""
        await self.begin()
        self.subscribed("news", 1)
        for exclude in (None, "1.1"):
            self.broker.publish(self.app, "news", codec.event("news", "e", "{}"), exclude)
        await self.settle()
        self.assertEqual(self.node.delivered, [])

    async def test_apps(self) -> None:
        """Apps never see each other's channels, users or limits."""
        await self.begin()
        other = make_app("another-key", presence_members=2)
        await self.enter("7", "1.1")
        await self.enter("8", "2.2")
        self.subscribed(ROOM, 2)
        await self.broker.enter(other, ROOM, make_member("9"), "3.3")
        self.assertEqual(list(await self.broker.users(other, ROOM)), ["9"])
        self.assertEqual(sorted(await self.broker.users(self.app, ROOM)), ["7", "8"])
        self.assertEqual(dict(await self.broker.occupied(other, "")), {})
        self.broker.leave(other, ROOM, "7", "1.1")
        self.assertEqual(sorted(await self.broker.users(self.app, ROOM)), ["7", "8"])

    def subscribed(self, channel: str, count: int) -> None:
        """Put subscribers of this node on a channel, as its registry does."""
        self.node.subscribed[self.app.key, channel] = count
        self.broker.open(self.app, channel)
