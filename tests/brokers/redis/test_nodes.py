"""What the brokers of several nodes make of each other."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from slanger.brokers.redis.broker import RedisBroker
from slanger.brokers.redis.scripts import PUBLISH
from slanger.domain.apps import Apps
from slanger.domain.channels import Counts
from slanger.protocol import codec
from tests.brokers.contract import told_app
from tests.brokers.redis.cluster import LEASE, RedisTestCase
from tests.builders import make_member, read_data

NEWS, ROOM = "news", "presence-room"


class NodesTestCase(RedisTestCase):
    """Two nodes."""

    async def begin(self) -> None:
        """Have two nodes that have joined; the second has a subscriber to the news."""
        self.one, self.node_one = await self.joined()
        self.two, self.node_two = await self.joined()
        self.subscribe(self.two, self.node_two, NEWS)
        await self.let_pass(0.05)

    def die(self, broker: RedisBroker) -> None:
        """Let a node go silent at once, as if it had been killed, and let its lease end."""
        broker._links.on_change = lambda: None
        broker._lease.stop()
        broker._links.hang_up()
        self.redis.admin.zadd(f"{self.prefix}:0:nodes", {broker._lease.name: 1})

    def publish(self, *names: str, channel: str = NEWS) -> None:
        """Publish events through the first node."""
        for name in names:
            self.one.publish(self.app, channel, codec.event(channel, name, "{}"), None)

    @property
    def heard(self) -> list[str]:
        """Name the events that the second node was given."""
        return [json.loads(message.text)["event"] for _, message, _ in self.node_two.delivered]

    async def expect(self, *names: str) -> None:
        """Wait for events, and see that there are no others."""
        await self.until(lambda: len(self.heard) >= len(names))
        await self.let_pass(0.05)
        self.assertEqual(self.heard, list(names))


class Events(NodesTestCase):
    """Events of another node."""

    async def test_delivered(self) -> None:
        """Fan-out: an event reaches the other node, byte for byte, and who is left out; never its own node."""
        await self.begin()
        self.subscribe(self.one, self.node_one, NEWS)
        text = codec.event(NEWS, "größe", ' {"a": "\u00fc\U0001f600"} ')
        self.one.publish(self.app, NEWS, text, "1.2")
        await self.until(lambda: self.node_two.delivered)
        ((channel, message, exclude),) = self.node_two.delivered
        self.assertEqual((channel, message.text, exclude), (NEWS, text.text, "1.2"))
        self.assertEqual(self.node_one.delivered, [])

    async def test_fault(self) -> None:
        """A fault of ours in delivering an event is logged; what comes after it is delivered, over the same link."""
        await self.begin()
        deliver = self.node_two.deliver

        def fail_once(*_: Any) -> None:
            self.patch(self.node_two, "deliver", deliver)
            raise ZeroDivisionError

        self.patch(self.node_two, "deliver", fail_once)
        self.publish("first", "second")
        await self.expect("second")
        self.assertEqual(self.two.complaints.tallies.broker_cuts[()], 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_interest(self) -> None:
        """Interest only: a node is given nothing of channels that it has nobody on."""
        await self.begin()
        self.publish("other", channel="weather")
        self.publish("wanted")
        await self.expect("wanted")

    async def test_just_opened(self) -> None:
        """A subscriber gets what is published after its success, though Redis did not know of it yet."""
        await self.begin()
        for number in range(20):
            channel = f"room-{number}"
            self.subscribe(self.two, self.node_two, channel)
            self.publish(channel, channel=channel)
        await self.expect(*(f"room-{number}" for number in range(20)))

    async def test_swallowed(self) -> None:
        """A gap is known: what was lost on the way is read from the log, before what shows the gap, in order."""
        await self.begin()
        self.publish("first")
        await self.expect("first")
        for number, name in enumerate(("second", "third"), 1):
            text = json.dumps({"k": "event", "v": 1, "o": "elsewhere", "s": number, "t": {"event": name}})
            position = self.redis.admin.xadd(self.key("log"), {"c": NEWS, "e": text})
            self.redis.admin.set(self.key(f"last:{NEWS}"), position)
            self.redis.admin.hset(self.key("ends"), "end", position)
            self.assertEqual(self.heard, ["first"])
        self.publish("fourth")
        await self.expect("first", "second", "third", "fourth")

    async def test_repeated(self) -> None:
        """A message that was seen is dropped, over the bus and over the log."""
        await self.begin()
        self.publish("first", "second")
        await self.expect("first", "second")
        log: Any = self.redis.admin.xrange(self.key("log"))
        for position, fields in log:
            said = f'["{position.decode()}","",{fields[b"e"].decode()}]'
            self.redis.admin.publish(self.key(f"to:{NEWS}"), said)
        self.publish("third")
        await self.expect("first", "second", "third")

    async def test_taken_once(self) -> None:
        """A message that Redis has is not taken again: a node that is not sure of it sends it once more."""
        await self.begin()
        commands, said = self.one._links.commands, b'{"k":"event","v":1,"o":"elsewhere","s":1,"t":{}}'
        assert commands is not None
        for number in (1, 2, 1, 2, 3):
            message = (number, self.app.key, NEWS, said, b"", 0)
            await commands.run(PUBLISH, *self.one._root.arguments, "elsewhere", *message)
        self.assertEqual(self.redis.admin.xlen(self.key("log")), 3)

    async def test_cut(self) -> None:
        """Links are cut at every moment, on both sides: each event comes once, in order."""
        await self.begin()
        names = [str(number) for number in range(200)]
        for number, name in enumerate(names):
            self.publish(name)
            if number % 8 == 0:
                link = (self.one, self.two)[number % 16 // 8]._links
                victim = (link.commands, link.ear)[number % 32 // 16]
                if victim is not None:
                    victim.transport.abortConnection()
            await self.let_pass(0.004)
        await self.expect(*names)

    async def test_terminate(self) -> None:
        """Terminating a user's connections: every other node is told, once."""
        await self.begin()
        self.one.terminate(self.app, "7")
        await self.until(lambda: self.node_two.terminated)
        self.assertEqual((self.node_one.terminated, self.node_two.terminated), ([], [(self.app.key, "7")]))


class Logs(NodesTestCase):
    """The log is bounded."""

    replay_events = 10

    async def test_too_large_a_gap(self) -> None:
        """A gap too large for the log is logged and counted; what the log has comes, in order."""
        await self.begin()
        self.publish("first")
        await self.expect("first")
        await self.until(lambda: self.two._links.ear)
        assert self.two._links.ear is not None
        with capturedLogs() as captured:
            self.two._links.ear.transport.abortConnection()
            for number in range(300):
                self.publish(str(number))
                self.one._outbound.flush()
            await self.until(lambda: self.heard[-1:] == ["299"])
        kept = self.redis.admin.xlen(self.key("log"))
        self.assertLess(kept, 100)
        self.assertEqual(self.heard, ["first", *(str(number) for number in range(300 - kept, 300))])
        self.assertEqual(self.two.complaints.counted, {"gap too large": 1})
        self.assertTrue(any("gap too large" in formatEvent(event) for event in captured))


class Rosters(NodesTestCase):
    """Users on several nodes."""

    async def told(self) -> Sequence[Sequence[tuple[str, str, str]]]:
        """Say what both nodes were told of."""
        await self.let_pass(0.1)
        return self.node_one.told, self.node_two.told

    async def enter(self, broker: RedisBroker, user_id: str, socket_id: str) -> list[str]:
        """Let a connection in; give the roster it is told."""
        roster = read_data(await broker.enter(self.app, ROOM, make_member(user_id), socket_id))
        return sorted(roster["presence"]["ids"])

    async def test_same_user(self) -> None:
        """Presence: a user on two nodes comes once and goes once, whichever he leaves first."""
        await self.begin()
        for first, second in ((self.one, self.two), (self.two, self.one)):
            self.node_one.told.clear()
            self.node_two.told.clear()
            await self.enter(self.one, "watcher-1", "8.1")
            await self.enter(self.two, "watcher-2", "8.2")
            self.assertEqual(await self.enter(self.one, "7", "1.1"), ["7", "watcher-1", "watcher-2"])
            self.assertEqual(await self.enter(self.two, "7", "2.2"), ["7", "watcher-1", "watcher-2"])
            sockets = {self.one: "1.1", self.two: "2.2"}
            first.leave(self.app, ROOM, "7", sockets[first])
            for told in await self.told():
                self.assertEqual([what for what, _, user in told if user == "7"], ["added"])
            second.leave(self.app, ROOM, "7", sockets[second])
            for told in await self.told():
                self.assertEqual([what for what, _, user in told if user == "7"], ["added", "removed"])
            self.one.leave(self.app, ROOM, "watcher-1", "8.1")
            self.two.leave(self.app, ROOM, "watcher-2", "8.2")

    async def test_lapsed(self) -> None:
        """A node that was taken for dead states everything again; its subscribers never hear that they were gone."""
        await self.begin()
        await self.enter(self.one, "7", "1.1")
        await self.enter(self.two, "8", "2.2")
        lease = self.one._lease.name
        self.redis.admin.zrem(f"{self.prefix}:0:nodes", lease)
        self.redis.admin.zadd(f"{self.prefix}:0:dead", {lease: 1})
        await self.until(lambda: self.one._lease.name != lease)
        await self.let_pass(LEASE)
        self.assertEqual(sorted(await self.two.users(self.app, ROOM)), ["7", "8"])
        self.assertNotIn(("removed", ROOM, "7"), self.node_one.told)
        removed = [what for what, _, user in self.node_two.told if user == "7"]
        self.assertIn(removed, (["removed", "added"], []))

    async def test_counts(self) -> None:
        """REST API, queries: subscriptions of all nodes together, users once, on every node."""
        await self.begin()
        self.subscribe(self.one, self.node_one, NEWS)
        for broker, socket_id in ((self.one, "1.1"), (self.two, "2.2")):
            await self.enter(broker, "7", socket_id)
        self.node_two.subscribed[self.app.key, NEWS] = 3
        self.two.recount(self.app, NEWS)
        await self.let_pass(0.05)
        for broker in (self.one, self.two):
            counts = await broker.counts(self.app, [NEWS, ROOM])
            self.assertEqual((counts[NEWS], counts[ROOM].users), (Counts(4), 1))
            self.assertEqual(list(await broker.occupied(self.app, "")), [NEWS])


class Leases(NodesTestCase):
    """What nodes hold that are no more."""

    async def test_large(self) -> None:
        """A dead node that held very much is cleaned up after, to the last thing."""
        await self.begin()
        for number in range(10_500):
            self.subscribe(self.one, self.node_one, f"room-{number}")
        await self.until(lambda: self.redis.admin.zcard(self.key("channels")) == 10_501)
        lease = self.one._lease.name
        self.die(self.one)
        await self.until(lambda: self.redis.admin.zcard(self.key("channels")) == 1)
        await self.until(lambda: not self.redis.admin.zcard(f"{self.prefix}:0:dead"))
        self.assertEqual(self.redis.admin.exists(f"{self.prefix}:0:held:{lease}"), 0)

    async def test_written_too_late(self) -> None:
        """Nothing can be held under a lease that has ended: what is written too late leaves no ghost."""
        await self.begin()
        self.redis.admin.zrem(f"{self.prefix}:0:nodes", self.one._lease.name)
        ended = self.one._lease.name
        entering = self.one.enter(self.app, ROOM, make_member("7"), "1.1")
        self.one._holdings.flush()
        await entering
        await self.until(lambda: self.one._lease.name != ended)
        await self.let_pass(LEASE)
        self.assertEqual(self.redis.admin.exists(f"{self.prefix}:0:held:{ended}"), 0)
        self.assertEqual(list(await self.two.users(self.app, ROOM)), ["7"])
        self.one.leave(self.app, ROOM, "7", "1.1")
        await self.let_pass(0.1)
        self.assertEqual(list(await self.two.users(self.app, ROOM)), [])


class Recounts(NodesTestCase):
    """Subscription counts that change while nobody is there who would say so."""

    def make_broker(self, apps: Apps | None = None) -> RedisBroker:
        """Have apps that tell their subscribers how many they are, by default."""
        return super().make_broker(apps or Apps([replace(told_app(), subscription_counts=True)]))

    async def begin(self) -> None:
        """Put the first node on the news too, on a channel of its own, and on one that has members to tell of it."""
        self.app = replace(self.app, subscription_counts=True)
        await super().begin()
        for channel in (NEWS, "lonely", ROOM):
            self.subscribe(self.one, self.node_one, channel)
        await self.until(lambda: self.redis.admin.zcard(self.key("channels")) == 3)
        await self.let_pass(LEASE)  # until then a Redis may just have come back empty

    @property
    def recounts(self) -> list[str]:
        """Name the channels that some node was to tell anew how many they are."""
        return sorted(self.node_one.recounts + self.node_two.recounts)

    async def test_killed(self) -> None:
        """Lease: when a node has died, one other tells who is left on its channels how many they are."""
        await self.begin()
        third, node_three = await self.joined()
        self.die(self.one)
        await self.until(lambda: len(self.node_two.recounts + node_three.recounts) >= 2)
        await self.let_pass(LEASE)
        self.assertEqual(sorted(self.node_two.recounts + node_three.recounts), ["lonely", NEWS])
        self.assertEqual(await third.counts(self.app, [NEWS]), {NEWS: Counts(1)})

    async def test_came_back(self) -> None:
        """Redis is back: what changed meanwhile is told, to and fro or as the last left, too; nothing else is."""
        await self.begin()
        for channel in ("unchanged", "to and fro"):
            self.subscribe(self.one, self.node_one, channel)
        await self.let_pass(0.05)
        self.one._pause()
        self.node_one.subscribed[self.app.key, NEWS] = 7
        del self.node_one.subscribed[self.app.key, "lonely"]
        self.one.close(self.app, "lonely")
        self.one.recount(self.app, "to and fro")
        self.one._rejoin()
        await self.until(lambda: len(self.recounts) >= 3)
        await self.let_pass(LEASE)
        self.assertEqual(self.recounts, ["lonely", NEWS, "to and fro"])

    async def test_taken_for_dead(self) -> None:
        """Lease: a node that was taken for dead counts again when it is back, and that is told."""
        await self.begin()
        self.one._pause()
        lease = self.one._lease.name
        self.redis.admin.zadd(f"{self.prefix}:0:nodes", {lease: 1})
        await self.until(lambda: self.recounts == ["lonely", NEWS])
        self.assertEqual(await self.two.counts(self.app, [NEWS]), {NEWS: Counts(1)})
        self.one._rejoin()
        await self.until(lambda: self.recounts == ["lonely", "lonely", NEWS, NEWS])
        self.assertEqual(await self.two.counts(self.app, [NEWS]), {NEWS: Counts(2)})

    async def test_off(self) -> None:
        """Subscription count: off by default; no node is told then."""
        self.one, self.node_one = await self.joined(Apps([told_app()]))
        self.two, self.node_two = await self.joined(Apps([told_app()]))
        self.subscribe(self.one, self.node_one, NEWS)
        await self.let_pass(0.05)
        self.die(self.one)
        await self.until(
            lambda: self.node_two.occurrences[-1:] and self.node_two.occurrences[-1].name.endswith("vacated")
        )
        self.assertEqual(self.recounts, [])


class Recalls(NodesTestCase):
    """What is remembered, and what comes after."""

    async def test_nothing_between(self) -> None:
        """Cache channels: what is published after the answer was written in Redis, and before the join, is heard."""
        await self.begin()
        self.one.publish(self.app, "cache-a", codec.event("cache-a", "first", "{}"), None)
        self.one.remember(self.app, "cache-a", "first", "{}")
        await self.let_pass(0.05)
        cached = await self.two.recall(self.app, "cache-a")
        assert cached is not None
        self.assertEqual(cached.event, "first")
        self.one.publish(self.app, "cache-a", codec.event("cache-a", "second", "{}"), None)
        self.subscribe(self.two, self.node_two, "cache-a")
        await self.expect("second")


class Silence(NodesTestCase):
    """A Redis that is there, and says nothing."""

    async def test_stopped(self) -> None:
        """Redis away, queries: as soon as a node knows of it, it answers by itself what waited for Redis, too."""
        await self.begin()
        self.redis.pause()
        self.addCleanup(self.redis.resume)
        counting = self.two.counts(self.app, [NEWS])
        await self.until(lambda: self.two.cut_off_since() is not None)
        await self.let_pass(0)
        self.assertEqual(self.successResultOf(counting), {NEWS: Counts(1)})


class Refusals(NodesTestCase):
    """A Redis that is there and refuses."""

    async def test_out_of_memory(self) -> None:
        """A Redis that takes nothing more is not asked in a hurry, and is told of once; then all arrives, in order."""
        await self.begin()
        self.addCleanup(self.redis.admin.config_set, "maxmemory", 0)
        connections: Any = self.redis.admin.info("stats")
        before = connections["total_connections_received"]
        with capturedLogs() as captured:
            self.redis.admin.config_set("maxmemory", 1)
            self.publish(*(str(number) for number in range(20)))
            await self.until(lambda: self.one.cut_off_since() is not None)
            await self.let_pass(3)
            connections = self.redis.admin.info("stats")
            self.assertLess(connections["total_connections_received"] - before, 30)
            self.redis.admin.config_set("maxmemory", 0)
            await self.expect(*(str(number) for number in range(20)))
        said = [formatEvent(event) or "" for event in captured]
        self.assertTrue(any("OOM" in line or "memory" in line for line in said), said)
        self.assertLess(len(said), 20)


class Keys(NodesTestCase):
    """What is left in Redis."""

    async def test_nothing_left(self) -> None:
        """Bounded: when all have left, no key remains but the bounded ones and those that expire."""
        await self.begin()
        for broker, node, socket_id in ((self.one, self.node_one, "1.1"), (self.two, self.node_two, "2.2")):
            await broker.enter(self.app, ROOM, make_member("7"), socket_id)
            self.subscribe(broker, node, ROOM)
            broker.remember(self.app, "cache-a", "e", "{}")
            broker.missed(self.app, "cache-b")
        self.publish("event")
        await self.let_pass(0.1)
        for broker, node, socket_id in ((self.one, self.node_one, "1.1"), (self.two, self.node_two, "2.2")):
            broker.leave(self.app, ROOM, "7", socket_id)
            for key, channel in tuple(node.subscribed):
                del node.subscribed[key, channel]
                broker.close(self.app, channel)
        await self.let_pass(5)
        bounded = r"nodes|born|beaten|\w[\w-]*:ends"
        keys: Any = self.redis.admin.keys(f"{self.prefix}:*")
        names = {key.decode().removeprefix(f"{self.prefix}:0:") for key in keys}
        for name in names:
            if not re.fullmatch(bounded, name):
                self.assertGreater(self.redis.admin.ttl(f"{self.prefix}:0:{name}"), 0, name)


class OtherApps(RedisTestCase):
    """Reload: nodes whose apps are not the same, as some were told of new settings and others not yet."""

    def due(self, *parts: str, age: float = 0.0) -> None:
        """Have an app be told of something, since so many seconds."""
        seconds, micro = self.redis.admin.time()
        when = (seconds - age) * 1000 + micro / 1000
        self.redis.admin.zadd(f"{self.prefix}:0:due", {json.dumps(parts, separators=(",", ":")): when})

    async def test_left_to_others(self) -> None:
        """Webhooks: what an app is to be told that this node does not know is left to one that does."""
        self.due("new-key", "channel_vacated", NEWS, "")
        self.due(self.app.key, "channel_vacated", NEWS, "")
        _, old = await self.joined()
        await self.until(lambda: old.occurrences)
        await self.let_pass(LEASE)
        self.assertEqual(len(old.occurrences), 1)
        _, new = await self.joined(Apps([told_app("new-key")]))
        await self.until(lambda: new.occurrences)
        self.assertEqual((len(old.occurrences), len(new.occurrences)), (1, 1))
        self.assertEqual(self.redis.admin.zcard(f"{self.prefix}:0:due"), 0)

    async def test_many_of_others(self) -> None:
        """Webhooks: what is left to others keeps nobody from being told; what nobody tells does not stay for ever."""
        for number in range(150):
            self.due("new-key", "channel_vacated", str(number), "", age=5)
        self.due(self.app.key, "channel_vacated", NEWS, "")
        broker, node = await self.joined()
        await self.until(lambda: node.occurrences)
        self.due("new-key", "channel_vacated", "stale", "", age=61)
        self.redis.admin.zadd(f"{self.prefix}:0:due", {"nonsense": 1, "7": 1, "[]": 1, "{}": 1, "[7]": 1})
        await self.until(lambda: self.redis.admin.zcard(f"{self.prefix}:0:due") == 150)
        self.assertEqual(len(node.occurrences), 1)
        await self.until(lambda: broker.complaints.counted == {"stray occurrence": 1, "bad message": 5})

    async def test_serve(self) -> None:
        """Reload: a node hears what concerns an app that came, and no more what concerns one that went."""
        apps = Apps([told_app()])
        (one, node_one), (two, _) = await self.joined(apps), await self.joined()
        new = told_app("another-key")
        two.terminate(new, "ann")
        two.terminate(self.app, "bob")
        await self.until(lambda: node_one.terminated == [(self.app.key, "bob")])
        changes = apps.swap([told_app("another-key")])
        one.serve(changes.added, changes.removed)
        await self.let_pass(0.1)
        two.terminate(new, "cid")
        await self.until(lambda: node_one.terminated[1:] == [(new.key, "cid")])
        await self.until(lambda: len(one._interest) == 1)  # after a while, in case the app comes back
        two.terminate(self.app, "dan")
        two.terminate(new, "eve")
        await self.until(lambda: node_one.terminated[2:] == [(new.key, "eve")])

    async def test_larger(self) -> None:
        """Reload: with larger limits larger messages of other nodes are taken."""
        apps = Apps([told_app()])
        (one, node_one), (two, _) = await self.joined(apps), await self.joined(Apps([told_app()]))
        self.subscribe(one, node_one, NEWS)
        await self.let_pass(0.1)
        text = codec.event(NEWS, "large", "x" * 200_000)
        two.publish(self.app, NEWS, text, None)
        await self.until(lambda: one.complaints.counted == {"bad message": 1})
        apps.swap([replace(told_app(), event_data_bytes=200_000)])
        one.serve((), ())
        two.publish(self.app, NEWS, text, None)
        await self.until(lambda: node_one.delivered)
