"""What is occupied, and by how many ("REST API": GET channels)."""

from __future__ import annotations

import math

from slanger.api.authentication import Call
from slanger.api.endpoint import Answer, Api, Endpoint
from slanger.api.parameters import ATTRIBUTES, attributes, first, read_info
from slanger.protocol.errors import BadRequest
from slanger.protocol.names import channel_fault, is_cache, is_presence


class Channels(Endpoint):
    """`/apps/ID/channels`."""

    kind = "channels"

    async def get(self, call: Call) -> Answer:
        """List the occupied channels."""
        prefix = first(call.query, "filter_by_prefix") or ""
        info = read_info(first(call.query, "info"), ATTRIBUTES)
        if "user_count" in info and not is_presence(prefix):
            raise BadRequest(
                "Cannot retrieve the user count unless filter_by_prefix begins with presence-:"
                " only presence channels have users"
            )
        occupied = await self.api.registry.occupied(call.app, prefix)
        return {"channels": {channel: attributes(channel, counts, info) for channel, counts in occupied.items()}}


class Channel(Endpoint):
    """`/apps/ID/channels/NAME`."""

    kind = "channel"

    def __init__(self, api: Api, app_id: str, channel: str) -> None:
        super().__init__(api, app_id)
        self._channel = channel

    async def get(self, call: Call) -> Answer:
        """Describe one channel, occupied or not."""
        fault = channel_fault(self._channel, call.app.channel_name_length)
        if fault:
            raise BadRequest(fault)
        info = read_info(first(call.query, "info"), (*ATTRIBUTES, "cache"))
        if "cache" in info and not is_cache(self._channel):
            raise BadRequest("Cannot retrieve the cache unless the channel is a cache channel")
        if "user_count" in info and not is_presence(self._channel):
            raise BadRequest("Cannot retrieve the user count unless the channel is a presence channel")
        counts = (await self.api.registry.counts(call.app, [self._channel]))[self._channel]
        answer: Answer = {"occupied": counts.subscriptions > 0, **attributes(self._channel, counts, info)}
        return {**answer, "cache": await self._cached(call)} if "cache" in info else answer

    async def _cached(self, call: Call) -> dict[str, object] | None:
        cached = await self.api.registry.recall(call.app, self._channel)
        return None if cached is None else {"data": cached.data, "ttl": math.ceil(cached.ttl)}
