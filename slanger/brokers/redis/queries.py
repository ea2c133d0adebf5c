"""What the cluster is asked for: Redis answers, and while it is away this node does, as far as it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from slanger.brokers.redis.envelope import position_in
from slanger.brokers.redis.interest import Interest
from slanger.brokers.redis.links import Commands, LinkLost
from slanger.brokers.redis.presence import Presence
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import COUNTS, OCCUPIED, RECALL
from slanger.domain.apps import App
from slanger.domain.cache import CachedEvent, EventCache
from slanger.domain.channels import Counts
from slanger.interfaces import INode
from slanger.protocol.names import is_inbox, is_presence

PAGE = 1000
"""Channels in one answer."""

_remembered = msgspec.json.Decoder(tuple[str, str])


class Queries:
    """Answer for the cluster.

    :param cache: what cache channels remember, as far as this node knows.
    :ivar commands: the link to Redis, while this node has joined.
    """

    node: INode

    def __init__(
        self, root: Root, interest: Interest, presence: Presence, cache: EventCache, clock: IReactorTime
    ) -> None:
        self._root = root
        self._interest = interest
        self._presence = presence
        self._cache = cache
        self._clock = clock
        self.commands: Commands | None = None

    def resume(self, commands: Commands) -> None:
        """Ask Redis from now on."""
        self.commands = commands

    def pause(self) -> None:
        """Answer from what is known here."""
        self.commands = None

    def recall(self, app: App, channel: str) -> Deferred[CachedEvent | None]:
        """Give a cache channel's last event."""
        return Deferred.fromCoroutine(self._recall(app, channel))

    def counts(self, app: App, channels: Sequence[str]) -> Deferred[Mapping[str, Counts]]:
        """Count who is on these channels."""
        return Deferred.fromCoroutine(self._counts(app, channels))

    def occupied(self, app: App, prefix: str) -> Deferred[Mapping[str, Counts]]:
        """Count who is on each occupied channel whose name begins so."""
        return Deferred.fromCoroutine(self._occupied(app, prefix))

    def users(self, app: App, channel: str) -> Deferred[Sequence[str]]:
        """Name the users on a presence channel."""
        return Deferred.fromCoroutine(self._users(app, channel))

    # Redis, or else this node

    async def _recall(self, app: App, channel: str) -> CachedEvent | None:
        if self.commands is not None:
            heard = self._interest.glance(app, channel)
            try:
                text, ttl_ms, last = await self.commands.run(RECALL, *self._root.arguments, app.key, channel)
            except LinkLost:
                pass
            else:
                await heard.known(position_in(last))
                return _cached(text, ttl_ms)
        return self._cache.get(app.key, channel, self._clock.seconds())

    async def _counts(self, app: App, channels: Sequence[str]) -> Mapping[str, Counts]:
        if self.commands is not None:
            asking = self.commands.run(COUNTS, *self._root.arguments, app.key, msgspec.json.encode(channels))
            try:
                answer = await asking
            except LinkLost:
                pass
            else:
                pairs = zip(answer[::2], answer[1::2], strict=True)
                return {channel: _count(channel, *pair) for channel, pair in zip(channels, pairs, strict=True)}
        return {channel: self._count_here(app, channel) for channel in channels}

    async def _occupied(self, app: App, prefix: str) -> Mapping[str, Counts]:
        found: dict[str, Counts] = {}
        last: str | None = ""
        while self.commands is not None and last is not None:
            try:
                answer = await self.commands.run(OCCUPIED, *self._root.arguments, app.key, prefix, last, PAGE)
            except LinkLost:
                break
            last = answer[-3].decode() if len(answer) == 3 * PAGE else None
            for index in range(0, len(answer), 3):
                channel = answer[index].decode()
                if not is_inbox(channel):
                    found[channel] = _count(channel, *answer[index + 1 : index + 3])
        if last is None:
            return found
        listed = (each for each in self.node.channels(app) if each.startswith(prefix) and not is_inbox(each))
        return {channel: self._count_here(app, channel) for channel in listed}

    async def _users(self, app: App, channel: str) -> Sequence[str]:
        if self.commands is not None:
            try:
                users: list[bytes] = await self.commands.read("HKEYS", self._root.roster(app.key, channel))
            except LinkLost:
                pass
            else:
                return [user_id.decode() for user_id in users]
        return [member.user_id for member in self._presence.roster(app, channel)]

    def _count_here(self, app: App, channel: str) -> Counts:
        users = len(list(self._presence.roster(app, channel)))
        return _count(channel, self.node.subscriptions(app, channel), users)


def _count(channel: str, subscriptions: int, users: int) -> Counts:
    return Counts(subscriptions, users if is_presence(channel) or is_inbox(channel) else None)


def _cached(text: Any, ttl_ms: int) -> CachedEvent | None:
    if ttl_ms <= 0:
        return None
    try:
        event, data = _remembered.decode(text)
    except (ValueError, RecursionError):
        return None
    return CachedEvent(event, data, ttl_ms / 1000)
