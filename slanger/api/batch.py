"""Triggering several events at once ("REST API": POST batch_events)."""

from __future__ import annotations

import msgspec

from slanger.api.authentication import Call
from slanger.api.endpoint import Answer, Endpoint
from slanger.api.events import Event, check_event
from slanger.api.parameters import attributes, read_body
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

    async def post(self, call: Call) -> Answer:
        """Send up to ten events, each to one channel. All are checked before the first is sent."""
        events = self._read(call)
        for event in events:
            self.api.registry.publish(call.app, event.channels[0], event.name, event.data, event.socket_id)
        if not any(event.info for event in events):
            return {}
        channels = [event.channels[0] for event in events]
        counts = await self.api.registry.counts(call.app, channels)
        return {
            "batch": [
                attributes(channel, counts[channel], event.info)
                for channel, event in zip(channels, events, strict=True)
            ]
        }

    def _read(self, call: Call) -> list[Event]:
        items = read_body(call.body or b"{}", _batch, _EXPECTED).batch
        if len(items) > call.app.batch_events:
            raise BadRequest(f"Batch too large ({len(items)} > {call.app.batch_events})")
        return [
            check_event(call.app, item.name, item.data, [item.channel], item.socket_id, item.info) for item in items
        ]
