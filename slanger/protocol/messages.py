"""The messages of the protocol: what a client may say, and what the server says.

Members of what a client says are typed loosely where clients differ (`null`, ``""`` and absence mean the same
for `auth`); what the server says is exact: `data` is always a string, except in `pusher:error`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

ESTABLISHED = "pusher:connection_established"
ERROR = "pusher:error"
PING = "pusher:ping"
PONG = "pusher:pong"
SUBSCRIBE = "pusher:subscribe"
UNSUBSCRIBE = "pusher:unsubscribe"
SUBSCRIPTION_SUCCEEDED = "pusher_internal:subscription_succeeded"
SUBSCRIPTION_ERROR = "pusher:subscription_error"
INTERNAL_SUBSCRIPTION_ERROR = "pusher_internal:subscription_error"
SIGNIN = "pusher:signin"
SIGNIN_SUCCESS = "pusher:signin_success"
CACHE_MISS = "pusher:cache_miss"
SUBSCRIPTION_COUNT = "pusher_internal:subscription_count"
WATCHLIST_EVENTS = "pusher_internal:watchlist_events"
MEMBER_ADDED = "pusher_internal:member_added"
MEMBER_REMOVED = "pusher_internal:member_removed"

NOTHING = "{}"
"""The `data` of a message that says nothing more. Leaving `data` out breaks the Java and Swift clients."""


# What a client says


class Frame(Struct, frozen=True):
    """Any message of a client; `data` is read once the event is known."""

    event: str
    channel: str | None = None
    data: Raw = Raw(b"")


class Subscribe(Struct, frozen=True):
    """`data` of `pusher:subscribe`; `channel_data` is the text that was signed."""

    channel: str
    auth: str | None = None
    channel_data: str | None = None


class Unsubscribe(Struct, frozen=True):
    """`data` of `pusher:unsubscribe`."""

    channel: str


class SignIn(Struct, frozen=True):
    """`data` of `pusher:signin`; `user_data` is the text that was signed."""

    auth: str | None = None
    user_data: str | None = None


class User(Struct, frozen=True):
    """A user who signed in.

    :param user_info: his JSON object as it was signed, or None; presence channels show it.
    :param watchlist: ids of the users whose coming and going he wants to hear of.
    """

    id: str
    user_info: Raw | None = None
    watchlist: tuple[str, ...] = ()


class ClientEvent(Struct, frozen=True):
    """An event a client sends to the other subscribers of a channel; `data` is text ready to be delivered."""

    event: str
    channel: str
    data: str


class Member(Struct, frozen=True):
    """A user on a presence channel.

    :param user_id: always text; the number 10 and the text "10" are one user.
    :param user_info: the user's JSON object as it was signed, or None.
    """

    user_id: str
    user_info: Raw | None = None


# What the server says


class Event(Struct, frozen=True, kw_only=True):
    """A message to a client; members left unset are left out.

    :param data: a text, or a string that is encoded already.
    """

    event: str
    channel: str | UnsetType = UNSET
    data: str | Raw = NOTHING
    user_id: str | UnsetType = UNSET


class Established(Struct, frozen=True):
    """`data` of `pusher:connection_established`; the timeout is in seconds and never 0."""

    socket_id: str
    activity_timeout: int


class Fault(Struct, frozen=True):
    """`data` of `pusher:error`: the one object that is not double-encoded."""

    code: int | None
    message: str


class ErrorEvent(Struct, frozen=True, kw_only=True):
    """`pusher:error`."""

    event: str = ERROR
    data: Fault


class SubscriptionFault(Struct, frozen=True):
    """`data` of `pusher:subscription_error`."""

    type: str
    error: str
    status: int


class MemberAdded(Struct, frozen=True):
    """`data` of `member_added`; a user without info has no `user_info` member."""

    user_id: str
    user_info: Raw | UnsetType = UNSET


class MemberRemoved(Struct, frozen=True):
    """`data` of `member_removed`."""

    user_id: str


class SignedIn(Struct, frozen=True):
    """`data` of `signin_success`; `user_data` goes back as it came."""

    user_data: str


class SubscriptionCount(Struct, frozen=True):
    """`data` of `subscription_count`: connections, not users."""

    subscription_count: int


class WatchlistEvent(Struct, frozen=True):
    """Users of a watchlist who are ``online`` or ``offline`` now."""

    name: str
    user_ids: Sequence[str]


class WatchlistData(Struct, frozen=True):
    """`data` of `watchlist_events`."""

    events: Sequence[WatchlistEvent]


Framing = Callable[[bytes], bytes]
"""How one kind of transport wraps a text."""


class Message(Struct, eq=False):
    """What is on its way to any number of subscribers: encoded once, framed once per kind of transport.

    Both are done when somebody first asks: an event that nobody hears, as most are, costs next to nothing.

    :param said: the JSON text, in UTF-8, or what becomes of it by `encode`.
    :param encode: makes the text; not needed where it is there already.
    """

    said: object
    encode: Callable[[Any], bytes] = bytes
    _framing: Framing | None = None
    _frame: bytes = b""
    _others: dict[Framing, bytes] | None = None

    @property
    def text(self) -> bytes:
        """The JSON text."""
        if not isinstance(self.said, bytes):
            self.said = self.encode(self.said)
        return self.said

    def framed(self, framing: Framing) -> bytes:
        """Give the bytes of one kind of transport; they are made at the first call."""
        if framing == self._framing:
            return self._frame
        if self._framing is None:
            self._framing = framing
            self._frame = framing(self.text)
            return self._frame
        return self._framed_otherwise(framing)

    def _framed_otherwise(self, framing: Framing) -> bytes:
        """Give the bytes of a second kind of transport."""
        if self._others is None:
            self._others = {}
        frame = self._others.get(framing)
        if frame is None:
            frame = self._others[framing] = framing(self.text)
        return frame

    def __repr__(self) -> str:
        return f"Message({self.text!r})"
