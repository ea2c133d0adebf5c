"""The broker of many nodes: Redis ties them together, and while it is away each serves its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slanger.brokers.misses import MISS_INTERVAL, Misses
from slanger.brokers.redis.address import RedisAddress
from slanger.brokers.redis.envelope import Added, Envelope, Event, Removed, Shared, Terminate
from slanger.brokers.redis.heard import Heard
from slanger.brokers.redis.holdings import Holdings
from slanger.brokers.redis.interest import Interest
from slanger.brokers.redis.lease import Lease
from slanger.brokers.redis.links import Commands, Ear, LinkLost, Links
from slanger.brokers.redis.occurrences import Occurrences
from slanger.brokers.redis.outbound import Outbound
from slanger.brokers.redis.presence import Presence
from slanger.brokers.redis.queries import Queries
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import MISSED
from slanger.complaints import Complaints
from slanger.domain.apps import App, Apps
from slanger.domain.cache import CachedEvent, EventCache
from slanger.domain.channels import Counts
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IBroker, INode, Link
from slanger.protocol.messages import Member, Message

EVERY_NODE = "#nodes"
"""The channel that every node listens to, for each app; no client's channel can be called so."""

SUBSCRIBERS, ALWAYS = "subscribers", "always"

BUS_OVERHEAD = 4096
"""Bytes around a message on its way between nodes, at most."""

FAREWELL = 2
"""Seconds that the last words of a node may take."""


@implementer(IBroker)
class RedisBroker(MultiService):
    """Tie this node to its peers; see `IBroker`.

    :param endpoint: leads to Redis.
    :param apps: that this node serves, as they are from time to time.
    :param cache: what cache channels remember, as far as this node knows.
    :param lease: seconds after which a node that is silent is taken for dead.
    :param buffer_bytes: of events that wait for Redis.
    :param complaints: told of what goes wrong.
    """

    name = "redis broker"
    _log = Logger()

    def __init__(
        self,
        address: RedisAddress,
        endpoint: IStreamClientEndpoint,
        root: Root,
        clock: IReactorTime,
        apps: Apps,
        cache: EventCache,
        lease: float,
        buffer_bytes: int,
        complaints: Complaints,
    ) -> None:
        super().__init__()
        self._address = address
        self._root = root
        self._clock = clock
        self._apps = apps
        self._cache = cache
        self._lease_seconds = lease
        self.complaints = complaints
        self._links = Links(address, endpoint, clock, patience=lease / 2)
        self._links.on_change = self._links_changed
        self._links.heard = self._heard
        self._links.setServiceParent(self)
        self._lease = Lease(root, clock, self._links, apps, lease, self._rejoin, self._beat)
        self._interest = Interest(root, clock, self._deliver, self._lease.redis_time, self._longest, complaints)
        self._links.subscribed = self._interest.subscribed
        self._occurrences = Occurrences(root, clock, apps, complaints)
        self._holdings = Holdings(root, clock, self._subscriptions, self._occurrences.claim)
        self._presence = Presence(root, clock, self._interest, self._holdings, self._occurrences, complaints)
        self._outbound = Outbound(root, clock, buffer_bytes, complaints)
        self._queries = Queries(root, self._interest, self._presence, cache, clock)
        self._misses = Misses(clock)
        self._joining: Deferred[None] | None = None
        self._cut_off_at: float | None = clock.seconds()
        self._joined_at = 0.0
        self._said_so = False

    # The service

    def startService(self) -> None:
        """Connect, and keep connecting."""
        for app in self._apps:
            self._interest.want(app, EVERY_NODE, ALWAYS)
        self._cut_off_at = self._clock.seconds()
        super().startService()
        self._lease.start()

    def stopService(self) -> Deferred[Any]:
        """Say good-bye: what waits is sent, and the others take over what this node holds."""
        self._lease.stop()
        self._occurrences.stop()
        commands = self._links.commands
        leaving: Deferred[Any] = succeed(None)
        if commands is not None and self._cut_off_at is None:
            leaving = Deferred.fromCoroutine(self._depart(commands))
            leaving.addTimeout(FAREWELL, self._clock)
            leaving.addErrback(lambda _: None)
        return leaving.addCallback(self._disconnect)

    async def _depart(self, commands: Commands) -> None:
        """Hand everything in; Redis takes it in this order."""
        self._outbound.flush()
        self._holdings.flush()
        await self._occurrences.acknowledge(commands)
        await self._lease.depart(commands)

    def _disconnect(self, _: object) -> Any:
        self._links.on_change = _nothing
        self._pause()
        if len(self._outbound):
            self._log.warn("events that did not reach the other nodes: {count}", count=len(self._outbound))
        self._links.hang_up()
        return super().stopService()

    # IBroker

    def attach(self, node: INode) -> None:
        """Learn which node to speak to."""
        self._node = node
        self._presence.node = node
        self._occurrences.local.node = node
        self._queries.node = node

    def serve(self, added: Sequence[App], removed: Sequence[App]) -> None:
        """Listen to what concerns the apps that came, no more to what concerns those that went."""
        self._interest.longest = self._longest
        for app in added:
            self._interest.want(app, EVERY_NODE, ALWAYS)
        for app in removed:
            self._interest.unwant(app, EVERY_NODE, ALWAYS)

    def open(self, app: App, channel: str) -> None:
        """Learn that a channel has its first subscriber here: listen to it."""
        self._interest.want(app, channel, SUBSCRIBERS)
        opened = self._holdings.open(app, channel)
        if not opened.stated:
            self._occurrences.opened_here(opened)

    def close(self, app: App, channel: str) -> None:
        """Learn that a channel has lost its last subscriber here: listen no more, after a while."""
        self._interest.unwant(app, channel, SUBSCRIBERS)
        closed = self._holdings.close(app, channel)
        if closed is not None:
            self._occurrences.closed_here(closed)

    def recount(self, app: App, channel: str) -> None:
        """Learn that a channel has more or fewer subscribers here."""
        self._holdings.recount(app, channel)

    def watch(self, app: App, channel: str) -> None:
        """Want to know who comes and goes on a channel."""
        self._presence.watch(app, channel)

    def unwatch(self, app: App, channel: str) -> None:
        """Want to know it no more."""
        self._presence.unwatch(app, channel)

    def publish(self, app: App, channel: str, message: Message, exclude: str | None) -> None:
        """Send an event to the other nodes, now or when Redis is there again."""
        self._outbound.event(app.key, channel, message.text, exclude)

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Let a connection keep a user present."""
        return self._presence.enter(app, channel, member, socket_id)

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user."""
        self._presence.leave(app, channel, user_id, socket_id)

    def remember(self, app: App, channel: str, event: str, data: str) -> None:
        """Keep a cache channel's last event for the whole cluster."""
        self._cache.put(app.key, channel, event, data, self._clock.seconds())
        self._misses.filled(app, channel)
        ttl_ms = int(self._cache.cache_ttl * 1000)
        self._outbound.remember(app.key, channel, msgspec.json.encode((event, data)), ttl_ms)

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give a cache channel's last event."""
        self._outbound.flush()
        return self._queries.recall(app, channel)

    def missed(self, app: App, channel: str) -> None:
        """Tell the app, once in a while for each channel, that a cache channel is empty."""
        if not app.webhooks:
            return
        commands = self._queries.commands
        if commands is None:
            self._missed_here(app, channel)
            return
        telling = commands.run(MISSED, *self._root.arguments, app.key, channel, MISS_INTERVAL * 1000)
        telling.addCallbacks(lambda _: self._occurrences.claim(), lambda _: self._missed_here(app, channel))

    def terminate(self, app: App, user_id: str) -> None:
        """Have the other nodes close the connections that signed in as this user."""
        self._outbound.terminate(app.key, EVERY_NODE, user_id)

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        self._holdings.flush()
        return self._queries.counts(app, channels)

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        self._holdings.flush()
        return self._queries.occupied(app, prefix)

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        self._holdings.flush()
        return self._queries.users(app, channel)

    def link(self) -> Link:
        """Tell how the link to the others is."""
        cut_off_at = self._cut_off_at
        since = self._joined_at if cut_off_at is None else cut_off_at
        return Link(cut_off_at is None, since, len(self._outbound), self._outbound.bytes)

    def cut_off_since(self) -> float | None:
        """Tell since when this node is cut off from the others."""
        return self._cut_off_at

    def hand_over(self) -> None:
        """Send users away, to other nodes."""
        self._holdings.handing_over = True

    def wind_up(self) -> None:
        """Tell what nobody else would tell, and leave the rest to the others."""
        self._occurrences.wind_up()

    # The links

    def _links_changed(self) -> None:
        """Go on where a link has come, and make do where one is lost."""
        commands, ear = self._links.commands, self._links.ear
        if commands is not None and ear is not None:
            self._rejoin()
        else:
            self._cut_off()

    def _cut_off(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
            self._joining = None
        if self._cut_off_at is None:
            self._cut_off_at = self._clock.seconds()
            self.complaints.tallies.broker_cuts[()] += 1
            self._log.warn(
                "cut off from Redis at {address}: {why}",
                event="cut_off",
                address=self._address.text,
                why=self._links.trouble,
            )
            self._said_so = True
        self._pause()

    def _pause(self) -> None:
        self._outbound.pause()
        self._queries.pause()
        self._lease.pause()
        self._interest.pause()
        self._holdings.pause()
        self._presence.pause()
        self._occurrences.pause()

    def _rejoin(self) -> None:
        """Join the other nodes, for the first time or again."""
        commands, ear = self._links.commands, self._links.ear
        if commands is None or ear is None:
            return
        if self._joining is not None:
            self._joining.cancel()
        self._pause()
        joining = self._joining = Deferred.fromCoroutine(self._join(commands, ear))
        joining.addErrback(self._not_joined)

    async def _join(self, commands: Commands, ear: Ear) -> None:
        before = await self._lease.begin(commands)
        self._outbound.resume(commands)
        listening = self._interest.resume(ear, commands)
        settles_in = self._lease.settles_in
        stated = self._holdings.restate(commands, self._lease.name, before, forgotten=settles_in > 0)
        await gatherResults(stated, consumeErrors=True)
        await self._occurrences.acknowledge(commands)
        await self._lease.end_earlier(commands)
        await listening
        await self._presence.resume(commands, settles_in)
        self._queries.resume(commands)
        self._occurrences.resume(commands, self._lease.name)
        self._cut_off_at = None
        self._joined_at = self._clock.seconds()
        self._said_so = False
        self._links.accepted()
        self.complaints.tallies.broker_joins[()] += 1
        address, node = self._address.text, self._lease.name
        self._log.info("joined Redis at {address} as {node}", event="joined", address=address, node=node)

    def _not_joined(self, failure: Failure) -> None:
        if failure.check(CancelledError, LinkLost) is None:
            self._log.failure("joining Redis failed", failure)
            if self._links.commands is not None:
                self._links.commands.abort("joining failed")

    def _beat(self) -> None:
        """Look after what takes time."""
        self._interest.tidy()
        self._occurrences.claim()
        since = self._cut_off_at
        if since is None:
            return
        away = self._clock.seconds() - since
        if not self._said_so and (self._links.trouble or away >= self._links.patience):
            self._said_so = True
            self._log.warn(
                "This node is ALONE: it cannot reach Redis at {address} ({why}), so other nodes do not hear it. It"
                " serves its own subscribers in full and keeps trying; --redis-url none says that this is meant",
                event="alone",
                address=self._address.text,
                why=self._links.trouble,
            )
        if away >= self._lease_seconds and not self._occurrences.on_its_own:
            self._occurrences.on_its_own = True
            for opened in self._holdings.opened.values():
                if not opened.stated:
                    self._occurrences.opened_here(opened)
            self._presence.go_on_alone()

    # What is heard

    def _heard(self, topic: bytes, payload: bytes) -> None:
        if topic == self._root.beats:
            self._lease.heard()
            self._interest.beaten(payload)
        else:
            self._interest.heard(topic, payload)

    def _deliver(self, heard: Heard, at: int, said: Envelope) -> None:
        match said:
            case Event():
                if said.o != self._root.origin and heard.is_new(said.o, said.s):
                    self._node.deliver(heard.app, heard.name, Message(bytes(said.t)), said.x)
            case Added() | Removed() | Shared():
                self._presence.changed(heard, at, said)
            case Terminate():
                if said.o != self._root.origin and heard.is_new(said.o, said.s):
                    self._node.terminate(heard.app, said.u)

    # Inside

    @property
    def _longest(self) -> int:
        """Bytes of one message of another node, at most."""
        return self._apps.message_bytes + BUS_OVERHEAD

    def _subscriptions(self, app: App, channel: str) -> int:
        return self._node.subscriptions(app, channel)

    def _missed_here(self, app: App, channel: str) -> None:
        if self._misses.is_news(app, channel):
            self._node.happened(app, Occurrence(name="cache_miss", channel=channel))


def _nothing() -> None:
    """Nobody listens any more."""
