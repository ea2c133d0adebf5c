"""What every broker must do, whatever ties it to its peers; written against `slanger.interfaces` alone.

A test case takes the contract in and says how its brokers are made. The tests are coroutines, and what is told to a
node is looked at once `settle` says that all of it is known: so a broker may ask others before it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from slanger.domain.apps import App
from slanger.domain.channels import Counts
from slanger.domain.webhooks import Endpoint, Occurrence
from slanger.interfaces import IBroker
from slanger.protocol import codec
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.names import GRACE
from tests.builders import KEY, Json, Node, make_app, make_member, read_data

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    TestCase = object

ROOM = "presence-room"

TTL = 1
"""Seconds for which the brokers under test remember a cache channel's event."""


MARGIN = 0.5
"""Seconds by which a broker may be late with what it tells after a time."""


def told_app(key: str = KEY) -> App:
    """Make an app that wants to be told what happens, and has small channels."""
    return make_app(key, presence_members=2, webhooks=(Endpoint(url="http://127.0.0.1/told"),))


class BrokerContract(TestCase):
    """The contract of `IBroker`: mix it into a trial `TestCase` that makes brokers."""

    def make_broker(self) -> IBroker:
        """Make a broker; each call makes another node of one cluster, which is empty at the first."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until what was asked of any broker has reached every node; by default nothing takes time."""

    async def let_pass(self, seconds: float) -> None:
        """Wait until so much time has passed for every broker."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Make the first node; each test begins with it."""
        self.app = told_app()
        self.broker, self.node = self.attached()

    def attached(self) -> tuple[IBroker, Node]:
        """Make a broker with its node."""
        broker, node = self.make_broker(), Node()
        broker.attach(node)
        return broker, node

    async def enter(self, user_id: str, socket_id: str, info: str | None = None, channel: str = ROOM) -> Json:
        """Let a connection in; give the presence object it is told."""
        roster = read_data(await self.broker.enter(self.app, channel, make_member(user_id, info), socket_id))
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
        entering: list[Deferred[Raw]] = [self.broker.enter(self.app, ROOM, make_member("7"), "1.1")]
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

    async def recalled(self, channel: str = "cache-a", key: str = KEY) -> tuple[str, str] | None:
        """Give what a cache channel remembers: the event's name and data."""
        cached = await self.broker.recall(make_app(key), channel)
        return None if cached is None else (cached.event, cached.data)

    async def test_remembered(self) -> None:
        """Cache channels: the last event is remembered with its data, character for character, and how long still."""
        await self.begin()
        self.assertIsNone(await self.recalled())
        self.broker.remember(self.app, "cache-a", "first", "{}")
        self.broker.remember(self.app, "cache-a", "App\\Events\\Größe", ' {"a": "\u00fc\U0001f600"} ')
        cached = await self.broker.recall(self.app, "cache-a")
        assert cached is not None
        self.assertEqual((cached.event, cached.data), ("App\\Events\\Größe", ' {"a": "\u00fc\U0001f600"} '))
        self.assertTrue(0 < cached.ttl <= TTL, cached.ttl)

    async def test_recall_in_order(self) -> None:
        """Cache channels: what is asked after an event was remembered finds it, though nobody waits."""
        await self.begin()
        self.broker.remember(self.app, "cache-a", "first", "1")
        asking = self.broker.recall(self.app, "cache-a")
        self.broker.remember(self.app, "cache-a", "second", "2")
        cached = await asking
        assert cached is not None
        self.assertIn(cached.event, ("first", "second"))
        self.assertEqual(await self.recalled(), ("second", "2"))

    async def test_forgotten(self) -> None:
        """Cache channels: an event is forgotten after its time, which begins anew with each event."""
        await self.begin()
        self.broker.remember(self.app, "cache-a", "e", "{}")
        await self.let_pass(TTL * 0.6)
        self.broker.remember(self.app, "cache-a", "e", "{}")
        await self.let_pass(TTL * 0.6)
        self.assertEqual(await self.recalled(), ("e", "{}"))
        await self.let_pass(TTL * 0.6)
        self.assertIsNone(await self.recalled())

    async def test_remembered_while_vacated(self) -> None:
        """Cache channels: an event is kept while nobody is subscribed."""
        await self.begin()
        self.subscribed("cache-a", 1)
        self.broker.remember(self.app, "cache-a", "e", "{}")
        del self.node.subscribed[self.app.key, "cache-a"]
        self.broker.close(self.app, "cache-a")
        await self.settle()
        self.assertEqual(await self.recalled(), ("e", "{}"))

    async def test_cache_of_apps(self) -> None:
        """Apps never see what each other's cache channels remember."""
        await self.begin()
        self.broker.remember(self.app, "cache-a", "e", "{}")
        await self.settle()
        self.assertIsNone(await self.recalled(key="another-key"))
        self.assertIsNone(await self.recalled("cache-b"))

    async def test_missed(self) -> None:
        """Cache channels: many subscribers who find a channel empty are told to the app once; each channel counts."""
        await self.begin()
        for _ in range(5):
            self.broker.missed(self.app, "cache-a")
        self.broker.missed(self.app, "cache-b")
        self.broker.missed(told_app("another-key"), "cache-a")
        self.assertCountEqual(
            await self.occurrences(),
            [
                Occurrence(name="cache_miss", channel="cache-a"),
                Occurrence(name="cache_miss", channel="cache-b"),
                Occurrence(name="cache_miss", channel="cache-a"),
            ],
        )

    async def occurrences(self) -> Sequence[Occurrence]:
        """Say what the app was to be told so far."""
        await self.settle()
        return self.node.occurrences

    async def test_channel_occurrences(self) -> None:
        """Webhooks: a channel's first subscriber and its last are told, each exactly once."""
        await self.begin()
        self.subscribed("news", 1)
        self.assertEqual(await self.occurrences(), [Occurrence(name="channel_occupied", channel="news")])
        del self.node.subscribed[self.app.key, "news"]
        self.broker.close(self.app, "news")
        self.assertEqual(len(await self.occurrences()), 1)
        await self.let_pass(GRACE + MARGIN)
        told = (await self.occurrences())[1:]
        self.assertEqual(told, [Occurrence(name="channel_vacated", channel="news")])

    async def test_member_occurrences(self) -> None:
        """Webhooks: a user's first connection and his last are told, each once, within the channel's own."""
        await self.begin()
        for socket_id in ("1.1", "2.2"):
            await self.enter("7", socket_id)
        added = [Occurrence(name="channel_occupied", channel=ROOM)]
        added.append(Occurrence(name="member_added", channel=ROOM, user_id="7"))
        self.assertEqual(await self.occurrences(), added)
        for socket_id in ("1.1", "2.2", "2.2", "3.3"):
            self.broker.leave(self.app, ROOM, "7", socket_id)
        self.assertEqual(await self.occurrences(), added)
        await self.let_pass(GRACE + MARGIN)
        removed = [Occurrence(name="member_removed", channel=ROOM, user_id="7")]
        removed.append(Occurrence(name="channel_vacated", channel=ROOM))
        self.assertEqual((await self.occurrences())[2:], removed)

    async def test_hardly_away(self) -> None:
        """Webhooks, delays: a user and a channel that are back in time were never gone."""
        await self.begin()
        await self.enter("7", "1.1")
        self.subscribed("news", 1)
        told = list(await self.occurrences())
        self.broker.leave(self.app, ROOM, "7", "1.1")
        del self.node.subscribed[self.app.key, "news"]
        self.broker.close(self.app, "news")
        await self.let_pass(GRACE * 0.5)
        await self.enter("7", "2.2")
        self.subscribed("news", 1)
        await self.let_pass(GRACE + MARGIN)
        self.assertEqual(await self.occurrences(), told)

    async def test_refused_is_no_occurrence(self) -> None:
        """Webhooks: nobody is told of a user for whom there was no room."""
        await self.begin()
        for user_id in ("7", "8"):
            await self.enter(user_id, f"{user_id}.1")
        with self.assertRaises(SubscriptionRefused):
            await self.enter("9", "9.1")
        self.broker.leave(self.app, ROOM, "9", "9.1")
        told = [each.user_id for each in await self.occurrences() if each.name == "member_added"]
        self.assertEqual(told, ["7", "8"])

    async def test_terminate(self) -> None:
        """Terminating a user's connections: the other nodes are told; this node has closed its own already."""
        await self.begin()
        self.broker.terminate(self.app, "7")
        await self.settle()
        self.assertEqual(self.node.terminated, [])

    async def test_inbox(self) -> None:
        """Watchlist events: who is signed in is counted on his inbox, which no list of channels shows."""
        await self.begin()
        inbox = "#server-to-user-7"
        await self.broker.enter(self.app, inbox, make_member("7"), "1.1")
        self.subscribed(inbox, 1)
        await self.settle()
        counts = await self.broker.counts(self.app, [inbox, "#server-to-user-8"])
        self.assertEqual((counts[inbox].users, counts["#server-to-user-8"].users), (1, 0))
        self.assertEqual(dict(await self.broker.occupied(self.app, "")), {})
        self.assertEqual(dict(await self.broker.occupied(self.app, "#")), {})
        self.broker.leave(self.app, inbox, "7", "1.1")
        self.assertEqual(await self.told(), [("added", inbox, "7"), ("removed", inbox, "7")])

    def subscribed(self, channel: str, count: int) -> None:
        """Put subscribers of this node on a channel, as its registry does."""
        self.node.subscribed[self.app.key, channel] = count
        self.broker.open(self.app, channel)
