"""JSON text to messages and back: the only place that knows about doubly encoded data.

Decoding checks as it reads and never lets anything but `MessageRefused` out, whatever the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw

from slanger.protocol.errors import Code, MessageRefused, SubscriptionRefused
from slanger.protocol.messages import (
    CACHE_MISS,
    ESTABLISHED,
    INTERNAL_SUBSCRIPTION_ERROR,
    MEMBER_ADDED,
    MEMBER_REMOVED,
    NOTHING,
    PONG,
    SIGNIN_SUCCESS,
    SUBSCRIPTION_COUNT,
    SUBSCRIPTION_ERROR,
    SUBSCRIPTION_SUCCEEDED,
    WATCHLIST_EVENTS,
    ClientEvent,
    ErrorEvent,
    Established,
    Event,
    Fault,
    Frame,
    Member,
    MemberAdded,
    MemberRemoved,
    Message,
    SignedIn,
    SignIn,
    Subscribe,
    SubscriptionCount,
    SubscriptionFault,
    Unsubscribe,
    User,
    WatchlistData,
    WatchlistEvent,
)

T = TypeVar("T")

UNREADABLE = (ValueError, RecursionError)
"""What decoding raises: malformed or mistyped JSON, bad UTF-8, and nesting without end."""

_frame = msgspec.json.Decoder(Frame)
_subscribe = msgspec.json.Decoder(Subscribe)
_unsubscribe = msgspec.json.Decoder(Unsubscribe)
_signin = msgspec.json.Decoder(SignIn)
_string = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


class _ChannelData(msgspec.Struct, frozen=True):
    user_id: str | int
    user_info: Raw = Raw(b"null")


_channel_data = msgspec.json.Decoder(_ChannelData)


class _UserData(msgspec.Struct, frozen=True):
    id: str
    user_info: Raw = Raw(b"null")
    watchlist: tuple[str, ...] | None = None


_user_data = msgspec.json.Decoder(_UserData)


# From a client


def read_frame(text: bytes) -> Frame:
    """Read any message of a client."""
    try:
        return _frame.decode(text)
    except UNREADABLE as fault:
        raise MessageRefused(f"Invalid message: {explain(fault)}") from None


def read_subscribe(frame: Frame) -> Subscribe:
    """Read the `data` of `pusher:subscribe`."""
    return _read_data(frame, _subscribe)


def read_unsubscribe(frame: Frame) -> Unsubscribe:
    """Read the `data` of `pusher:unsubscribe`."""
    return _read_data(frame, _unsubscribe)


def read_signin(frame: Frame) -> SignIn:
    """Read the `data` of `pusher:signin`."""
    return _read_data(frame, _signin)


def read_user(user_data: str) -> User:
    """Read the `user_data` of a sign-in. Call it only after the signature was verified.

    :raises MessageRefused: with what is wrong with it.
    """
    try:
        data = _user_data.decode(user_data)
    except UNREADABLE as fault:
        raise MessageRefused(f"Invalid user_data: {explain(fault)}") from None
    if not data.id:
        raise MessageRefused("Invalid user_data: id must be a non-empty string")
    info = bytes(data.user_info)
    if info != b"null" and not info.startswith(b"{"):
        raise MessageRefused("Invalid user_data: user_info must be an object - if it is supplied")
    return User(data.id, None if info == b"null" else Raw(info), tuple(dict.fromkeys(data.watchlist or ())))


def read_client_event(frame: Frame) -> ClientEvent:
    """Read a client event. A `data` string stays as it is, anything else is sent on as its own JSON text."""
    if not frame.channel:
        raise MessageRefused("Invalid client event (must contain channel and data)")
    data = bytes(frame.data)
    try:
        text = _string.decode(data) if data.startswith(b'"') else data.decode() or NOTHING
    except UNREADABLE as fault:
        raise MessageRefused(f"Invalid client event: {explain(fault)}") from None
    return ClientEvent(frame.event, frame.channel, text)


def read_member(channel: str, channel_data: str) -> Member:
    """Read the `channel_data` of a presence subscription. Call it only after the signature was verified.

    :raises SubscriptionRefused: with what is wrong with it.
    """
    try:
        data = _channel_data.decode(channel_data)
    except UNREADABLE as fault:
        text = f"Invalid channel_data for presence subscription to {channel}: {explain(fault)}"
        raise SubscriptionRefused(channel, text) from None
    info = bytes(data.user_info)
    if info == b"null":
        return Member(str(data.user_id))
    if not info.startswith(b"{"):
        raise SubscriptionRefused(
            channel,
            "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash",
        )
    return Member(str(data.user_id), Raw(info))


def _read_data(frame: Frame, decoder: msgspec.json.Decoder[T]) -> T:
    """Read `data` as an object, or as a string that holds one (some clients encode it twice)."""
    data = bytes(frame.data)
    try:
        return decoder.decode(_string.decode(data) if data.startswith(b'"') else data)
    except UNREADABLE as fault:
        raise MessageRefused(f"Invalid data of {frame.event}: {explain(fault)}") from None


def explain(fault: Exception) -> str:
    """Put a decoder's exception into words."""
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    if isinstance(fault, UnicodeError):
        return "it is not UTF-8"
    return str(fault)


# To a client


def established(socket_id: str, activity_timeout: int) -> Message:
    """Say that the connection stands."""
    return _say(Event(event=ESTABLISHED, data=_data(Established(socket_id, activity_timeout))))


def pong() -> Message:
    """Answer a `pusher:ping`."""
    return _PONG


def error(message: str, code: Code | None = None) -> Message:
    """Say that something was refused."""
    return _say(ErrorEvent(data=Fault(code.number if code else None, message)))


def subscription_succeeded(channel: str, data: str | Raw = NOTHING) -> Message:
    """Say that a subscription stands; `data` is the roster on a presence channel, see `RosterText`."""
    return _say(Event(event=SUBSCRIPTION_SUCCEEDED, channel=channel, data=data))


def subscription_error(refusal: SubscriptionRefused, *, internal: bool = False) -> Message:
    """Tell a channel's listeners that a subscription was refused; the internal form is the .NET client's."""
    name = INTERNAL_SUBSCRIPTION_ERROR if internal else SUBSCRIPTION_ERROR
    data = _data(SubscriptionFault(refusal.kind, refusal.message, refusal.status))
    return _say(Event(event=name, channel=refusal.channel, data=data))


def event(channel: str, name: str, data: str, user_id: str | None = None) -> Message:
    """Build a delivered event; `data` passes through character for character."""
    user = UNSET if user_id is None else user_id
    return Message(Event(event=name, channel=channel, data=data, user_id=user), _encode)


def signin_success(user_data: str) -> Message:
    """Say that a user is signed in."""
    return _say(Event(event=SIGNIN_SUCCESS, data=_data(SignedIn(user_data))))


def cache_miss(channel: str) -> Message:
    """Say that a cache channel remembers nothing."""
    return _say(Event(event=CACHE_MISS, channel=channel))


def subscription_count(channel: str, count: int) -> Message:
    """Say how many connections are on a channel."""
    return _say(Event(event=SUBSCRIPTION_COUNT, channel=channel, data=_data(SubscriptionCount(count))))


def watchlist(online: Sequence[str] = (), offline: Sequence[str] = ()) -> Message:
    """Say who of a watchlist is online and who is not; a group without anybody is left out."""
    groups = [WatchlistEvent("online", online), WatchlistEvent("offline", offline)]
    return _say(Event(event=WATCHLIST_EVENTS, data=_data(WatchlistData([g for g in groups if g.user_ids]))))


class RosterText:
    """The `data` that tells a joiner who is present, the joiner included: kept ready to be sent.

    To add a user costs what his entry costs, however many are there. `ids` and `hash` are kept as they stand in the
    message: as JSON inside of a JSON string.

    :param members: each user once.
    """

    __slots__ = ("_count", "_hash", "_ids")

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._count = 0
        self._ids = bytearray()
        self._hash = bytearray()
        for member in members:
            self.add(member)

    def add(self, member: Member) -> None:
        """Add a user who is not there yet."""
        if self._count:
            self._ids += b","
            self._hash += b","
        user_id = _encode(member.user_id)
        info = b"null" if member.user_info is None else bytes(member.user_info)
        self._ids += _inside_string(user_id)
        self._hash += _inside_string(b"%b:%b" % (user_id, info))
        self._count += 1

    def data(self) -> Raw:
        """Give the whole, encoded."""
        return Raw(_ROSTER % (self._count, self._ids, self._hash))


def member_added(channel: str, member: Member) -> Message:
    """Say that a user's first connection joined a presence channel."""
    info = UNSET if member.user_info is None else member.user_info
    return _say(Event(event=MEMBER_ADDED, channel=channel, data=_data(MemberAdded(member.user_id, info))))


def member_removed(channel: str, user_id: str) -> Message:
    """Say that a user's last connection left a presence channel."""
    return _say(Event(event=MEMBER_REMOVED, channel=channel, data=_data(MemberRemoved(user_id))))


def _say(message: Event | ErrorEvent) -> Message:
    return Message(message, _encode)


def _inside_string(text: bytes) -> bytes:
    """Encode JSON once more, as part of a string."""
    return _encode(text.decode())[1:-1]


_ROSTER = rb'"{\"presence\":{\"count\":%d,\"ids\":[%b],\"hash\":{%b}}}"'


def _data(value: msgspec.Struct) -> str:
    return _encode(value).decode()


_PONG = _say(Event(event=PONG))
