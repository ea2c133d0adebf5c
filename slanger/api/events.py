"""Triggering events ("REST API": POST events)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from slanger.api.authentication import Call
from slanger.api.endpoint import Answer, Api, Endpoint
from slanger.api.parameters import ATTRIBUTES, Pairs, attributes, first, read_body, read_info
from slanger.domain.apps import App
from slanger.protocol import names
from slanger.protocol.errors import BadRequest, TooLarge


class Trigger(msgspec.Struct, frozen=True):
    """The body of a trigger; a parameter that is not in it may be in the query."""

    name: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    channels: list[str] | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    socket_id: str | None = None
    info: str | None = None


_trigger = msgspec.json.Decoder(Trigger)
_EXPECTED = {
    "name": "a string",
    "data": "a string (server SDKs encode it as JSON before they send it)",
    "channels": "an array of strings",
    "channel": "a string",
    "socket_id": "a string",
    "info": "a string of names separated by commas",
}


class Event(msgspec.Struct, frozen=True):
    """A trigger that was checked.

    :param channels: each once, in the order they were named.
    """

    name: str
    data: str
    channels: Sequence[str]
    socket_id: str | None
    info: frozenset[str]


class Events(Endpoint):
    """`/apps/ID/events`."""

    kind = "events"

    def post(self, call: Call) -> Answer | Awaitable[Answer]:
        """Send one event to up to 100 channels."""
        event = read_event(call)
        for channel in event.channels:
            self.api.registry.publish(call.app, channel, event.name, event.data, event.socket_id)
        return self._info(call, event) if event.info else {}

    async def _info(self, call: Call, event: Event) -> Answer:
        counts = await self.api.registry.counts(call.app, event.channels)
        return {"channels": {channel: attributes(channel, counts[channel], event.info) for channel in event.channels}}


class ChannelEvents(Endpoint):
    """`/apps/ID/channels/NAME/events`: the endpoint of 2011. The whole body is the data, the rest is in the query.

    It answered 202 then; SDKs take only 200 for success.
    """

    kind = "channel_events"

    def __init__(self, api: Api, app_id: str, channel: str) -> None:
        super().__init__(api, app_id)
        self._channel = channel

    def post(self, call: Call) -> Answer:
        """Send one event to this channel."""
        try:
            data = call.body.decode()
        except UnicodeDecodeError:
            raise BadRequest("Expected the body, which is the data of the event, to be UTF-8") from None
        name = first(call.query, "name")
        if name is None:
            raise BadRequest("Missing required parameter: name")
        socket_id = first(call.query, "socket_id") or None
        check_event(call.app, name, data, (self._channel,), socket_id)
        self.api.registry.publish(call.app, self._channel, name, data, socket_id)
        return {}


def read_event(call: Call) -> Event:
    """Read a trigger from body and query, and check all of it.

    :raises RequestRefused: with the first thing that is wrong; nothing was sent then.
    """
    body = read_body(call.body or b"{}", _trigger, _EXPECTED)
    socket_id = body.socket_id or first(call.query, "socket_id") or None
    name = _parameter(body.name, call.query, "name")
    data = _parameter(body.data, call.query, "data")
    channels = _channels(body, call.query)
    check_event(call.app, name, data, channels, socket_id)
    info = read_info(body.info or first(call.query, "info"), ATTRIBUTES)
    return Event(name, data, list(dict.fromkeys(channels)), socket_id, info)


def _parameter(value: str | UnsetType, query: Pairs, name: str) -> str:
    found = first(query, name) if value is UNSET else value
    if found is None:
        raise BadRequest(f"Missing required parameter: {name}")
    return found


def _channels(body: Trigger, query: Pairs) -> list[str]:
    """Collect the channels from the body, or else from the query; `channel` and `channels` add up."""
    if body.channel is UNSET:
        if body.channels is UNSET:
            return [value for key, value in query if key in ("channels[]", "channel")]
        return body.channels
    return [body.channel] if body.channels is UNSET else [*body.channels, body.channel]


def check_event(app: App, name: str, data: str, channels: Sequence[str], socket_id: str | None) -> None:
    """Check an event against the rules of its app.

    :raises RequestRefused: with the first thing that is wrong.
    """
    fault = names.event_fault(name, app.event_name_length)
    if fault:
        raise BadRequest(fault)
    if not channels:
        raise BadRequest("Missing required parameter: channels")
    if len(channels) > app.event_channels:
        raise BadRequest(f"Too many channels ({len(channels)} > {app.event_channels})")
    for channel in channels:
        fault = names.channel_fault(channel, app.channel_name_length)
        if fault:
            raise BadRequest(fault)
    if socket_id and not names.is_socket_id(socket_id):
        raise BadRequest(f"Invalid socket id {socket_id!r}: expected two numbers joined by a dot")
    if names.exceeds(data, app.event_data_bytes):
        raise TooLarge(f"The data content of this event exceeds the allowed maximum ({app.event_data_bytes} bytes)")
