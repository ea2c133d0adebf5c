"""Triggering several events at once ("REST API": POST batch_events)."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec

from slanger.api.authentication import Call
from slanger.api.endpoint import Answer, Endpoint
from slanger.api.events import check_event
from slanger.api.parameters import ATTRIBUTES, attributes, read_body, read_info
from slanger.protocol.errors import BadRequest


class _Item(msgspec.Struct, frozen=True):
    name: str
    channel: str
    data: str
    socket_id: str | None = None
    info: str | None = None


class _Batch(msgspec.Struct, frozen=True):
    batch: list[_Item]


_batch = msgspec.json.Decoder(_Batch)
_EXPECTED = {"batch": "an array of events, each with name, channel and data as strings"}


class BatchEvents(Endpoint):
    """`/apps/ID/batch_events`."""

    kind = "batch_events"

    def post(self, call: Call) -> Answer | Awaitable[Answer]:
        """Send up to ten events, each to one channel. All are checked before the first is sent."""
        items = self._read(call)
        infos = [read_info(item.info, ATTRIBUTES) for item in items]
        publish = self.api.registry.publish
        for item in items:
            publish(call.app, item.channel, item.name, item.data, item.socket_id or None)
        return self._info(call, items, infos) if any(infos) else {}

    async def _info(self, call: Call, items: list[_Item], infos: list[frozenset[str]]) -> Answer:
        counts = await self.api.registry.counts(call.app, [item.channel for item in items])
        return {
            "batch": [
                attributes(item.channel, counts[item.channel], info) for item, info in zip(items, infos, strict=True)
            ]
        }

    def _read(self, call: Call) -> list[_Item]:
        items = read_body(call.body or b"{}", _batch, _EXPECTED).batch
        if len(items) > call.app.batch_events:
            raise BadRequest(f"Batch too large ({len(items)} > {call.app.batch_events})")
        for item in items:
            check_event(call.app, item.name, item.data, (item.channel,), item.socket_id)
        return items
