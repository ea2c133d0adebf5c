"""Names and numbers of the protocol: channel kinds, the grammar of names, limits with their source."""

from __future__ import annotations

import enum
import re

CHANNEL_NAME_LENGTH = 200
"""Characters in a channel name. The documentation says 164, Pusher's server SDKs let 200 through."""

EVENT_NAME_LENGTH = 200
"""Characters in an event name; a rule of every official server SDK."""

EVENT_DATA_BYTES = 10 * 1024
"""Bytes of `data` in one event; "REST API", error 413."""

EVENT_CHANNELS = 100
"""Channels one trigger may name; "REST API"."""

PRESENCE_MEMBERS = 100
"""Users (not connections) on one presence channel; "Presence channels", limits."""

PRESENCE_MEMBER_BYTES = 1024
"""Bytes of one user's `channel_data`; "Presence channels", limits."""

USER_ID_LENGTH = 128
"""Characters in a presence user id; "Presence channels", limits."""

CLIENT_EVENTS_PER_SECOND = 10
"""Client events one connection may send in any second; "Client events", code 4301."""

ACTIVITY_TIMEOUT = 120
"""Seconds of silence after which a client pings, as the hosted service tells it."""

PONG_TIMEOUT = 30
"""Seconds to wait for a sign of life after a ping; the same in pusher-js."""

AUTH_WINDOW = 600
"""Seconds a signed REST request stays valid, in both directions; "REST API", authentication."""

BATCH_EVENTS = 10
"""Events in one batch; "REST API", batch events."""

WATCHLIST_USERS = 100
"""Users one user may watch; "Authenticating users", code 4302."""

CACHE_TTL = 30 * 60
"""Seconds for which a cache channel remembers its last event; "Cache channels"."""

SMALL_CHANNEL = 100
"""Connections up to which each change of a subscription count is told at once; "Subscription count events"."""

COUNT_INTERVAL = 5
"""Seconds between subscription counts of a larger channel; "Subscription count events"."""

GRACE = 3
"""Seconds for which news that someone went is held back, in case he returns; "Webhooks", delays."""

REQUEST_BODY_BYTES = 1024 * 1024
"""Bytes of one REST body: ten events of 10 kB, each byte escaped sixfold, fit."""

CONNECTION_CHANNELS = 1000
"""Channels one connection may be on; the documentation knows no limit, and browsers rarely need a hundred."""

UNLIMITED = 10**18
"""Stands for no limit: a number so large that nothing here is ever counted so far."""

_CHANNEL = re.compile(r"[-a-zA-Z0-9_=@,.;]+\Z")
_SOCKET_ID = re.compile(r"[0-9]+\.[0-9]+\Z")

_MOST_BYTES = 4  # of one character, in UTF-8
_CACHE_PREFIXES = ("cache-", "private-cache-", "private-encrypted-cache-", "presence-cache-")
INBOX_PREFIX = "#server-to-user-"
CLIENT_EVENT_PREFIX = "client-"
RESERVED_EVENT_PREFIXES = ("pusher:", "pusher_internal:")


class ChannelKind(enum.Enum):
    """What a channel's prefix makes of it ("Channel types")."""

    PUBLIC = "public"
    PRIVATE = "private"
    PRESENCE = "presence"
    INBOX = "inbox"

    @classmethod
    def of(cls, channel: str) -> ChannelKind:
        """Tell a channel's kind by its case-sensitive prefix; `private-encrypted-` is private."""
        if channel.startswith("private-"):
            return cls.PRIVATE
        if channel.startswith("presence-"):
            return cls.PRESENCE
        if channel.startswith("#"):
            return cls.INBOX
        return cls.PUBLIC


def kind_of(channel: str) -> str:
    """Name a channel's kind in metrics: as `ChannelKind` does, but `encrypted` for channels that are."""
    return "encrypted" if channel.startswith("private-encrypted-") else ChannelKind.of(channel).value


def is_cache(channel: str) -> bool:
    """Whether the channel remembers its last event ("Cache channels": four kinds)."""
    return channel.startswith(_CACHE_PREFIXES)


def is_inbox(channel: str) -> bool:
    """Whether the channel is a user's own; it is in no list, and no webhook tells of it."""
    return channel.startswith(INBOX_PREFIX)


def is_presence(channel: str) -> bool:
    """Whether the channel keeps a roster."""
    return channel.startswith("presence-")


def channel_fault(channel: str, longest: int = CHANNEL_NAME_LENGTH) -> str | None:
    """Say what is wrong with a channel's name, or None.

    :param longest: characters allowed; a user's inbox name is measured without its prefix, and as the user's id may
        hold any characters, so may the rest of the inbox name.
    """
    if len(channel) <= longest and _CHANNEL.match(channel):
        return None
    name = channel.removeprefix(INBOX_PREFIX)
    if not name:
        return "Invalid channel name: it is empty"
    if len(name) > longest:
        return f"Invalid channel name: {len(name)} characters, at most {longest} are allowed"
    if not (_CHANNEL.match(name) or is_inbox(channel)):
        return f"Invalid channel name {channel!r}: only letters, digits and _ - = @ , . ; are allowed"
    return None


def event_fault(event: str, longest: int = EVENT_NAME_LENGTH) -> str | None:
    """Say what is wrong with the name of an event triggered over REST, or None."""
    if not event:
        return "Invalid event name: it is empty"
    if len(event) > longest:
        return f"Invalid event name: {len(event)} characters, at most {longest} are allowed"
    if event.startswith(RESERVED_EVENT_PREFIXES):
        return f"Invalid event name {event!r}: the prefixes pusher: and pusher_internal: are reserved"
    return None


def exceeds(text: str, limit: int) -> bool:
    """Whether a text has more bytes than a limit; they are counted only where that is not plain from its length."""
    return len(text) * _MOST_BYTES > limit and len(text.encode()) > limit


def is_socket_id(text: str) -> bool:
    """Whether the text has the form of a socket id, as every server SDK demands it."""
    return _SOCKET_ID.match(text) is not None
