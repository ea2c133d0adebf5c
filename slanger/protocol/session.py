"""One client's state machine: a message in, effects out.

A session knows what its client has asked for and what it may ask next. It never acts: it returns effects, and is told
what came of them. Where a channel stands with the client decides what a message about it does; for a sign-in it is
where the user stands:

=====================  ======================  ==========================  ==========================
message                OFF                     ASKED                       ON
=====================  ======================  ==========================  ==========================
`pusher:subscribe`     check it, ask to join   refuse: exists already      refuse: exists already
`pusher:unsubscribe`   refuse: not subscribed  leave, forget               leave, forget
client event           refuse: not subscribed  refuse: not subscribed      check it, pass it on
`pusher:signin`        check it, sign in                                   same user: yes; other: refuse
(joined)               nothing: it has left    say it succeeded            nothing
(refused)              nothing: it has left    say it failed, forget       nothing
=====================  ======================  ==========================  ==========================

`Session._table` is this table, line by line.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from msgspec import Raw, Struct

from slanger.protocol import codec, names, signing
from slanger.protocol.effects import Effect, Join, Leave, Refuse, Say, SignInUser, SignOutUser, Whisper
from slanger.protocol.errors import CLIENT_EVENT_RATE, WATCHLIST_LIMIT, MessageRefused, SubscriptionRefused
from slanger.protocol.messages import (
    NOTHING,
    PING,
    PONG,
    SIGNIN,
    SUBSCRIBE,
    UNSUBSCRIBE,
    ClientEvent,
    Frame,
    Member,
    SignIn,
    Subscribe,
    Unsubscribe,
    User,
)
from slanger.protocol.names import ChannelKind
from slanger.protocol.rules import Rules

SHOWN = 1500
"""Characters of a client's text that an error repeats; the whole of what a presence subscription signs fits."""


class Standing(enum.StrEnum):
    """Where a channel stands with a client."""

    OFF = "not subscribed"
    ASKED = "asked to join, not yet answered"
    ON = "subscribed"


class _Subscription(Struct):
    standing: Standing
    member: Member | None


class Session:
    """A connection's side of the protocol, from established to gone.

    :param rules: the app's key, secret, switches and limits.
    :param socket_id: the connection's id, two numbers joined by a dot.
    :ivar authorized: whether the app has ever vouched for this client: it signed in, or asked for a channel that needs
        authorisation, and had it. To leave that channel takes nothing back.
    """

    __slots__ = ("_client_event_times", "_subscriptions", "_user", "authorized", "rules", "socket_id")

    def __init__(self, rules: Rules, socket_id: str) -> None:
        self.rules = rules
        self.socket_id = socket_id
        self._subscriptions: dict[str, _Subscription] = {}
        self._client_event_times: deque[float] | None = None
        self._user: User | None = None
        self.authorized = False

    @property
    def user(self) -> User | None:
        """Who signed in on this connection."""
        return self._user

    def standing(self, channel: str) -> Standing:
        """Tell where a channel stands with this client."""
        subscription = self._subscriptions.get(channel)
        return Standing.OFF if subscription is None else subscription.standing

    def receive(self, text: bytes, now: float) -> Iterable[Effect]:
        """Take one message of the client.

        :param text: its bytes as they came.
        :param now: seconds on any steady clock; it limits the rate of client events.
        """
        try:
            return self._answer(codec.read_frame(text), now)
        except SubscriptionRefused as refusal:
            return self._tell_channel(refusal)
        except MessageRefused as refusal:
            return (_refuse(refusal, "user"),)

    def joined(self, channel: str, data: str | Raw = NOTHING) -> Iterable[Effect]:
        """Hear that a `Join` was carried out; `data` is the roster on a presence channel."""
        return self._table["joined"][self.standing(channel)](self, _Outcome(channel, data=data), 0.0)

    def refused(self, refusal: SubscriptionRefused) -> Iterable[Effect]:
        """Hear that a `Join` cannot be carried out."""
        return self._table["refused"][self.standing(refusal.channel)](
            self, _Outcome(refusal.channel, refusal=refusal), 0.0
        )

    def gone(self) -> Iterable[Effect]:
        """Hear that the connection is lost: leave every channel, the cost is that of the client's own channels."""
        subscriptions, self._subscriptions = self._subscriptions, {}
        effects: list[Effect] = [Leave(channel, each.member) for channel, each in subscriptions.items()]
        return effects if self._user is None else [*effects, SignOutUser(self._user)]

    def _answer(self, frame: Frame, now: float) -> Iterable[Effect]:
        if frame.event == SUBSCRIBE:
            subject: _Subject = codec.read_subscribe(frame)
        elif frame.event == UNSUBSCRIBE:
            subject = codec.read_unsubscribe(frame)
        elif frame.event == SIGNIN:
            standing = Standing.OFF if self._user is None else Standing.ON
            return self._table[SIGNIN][standing](self, codec.read_signin(frame), now)
        elif frame.event == PING:
            return (Say(codec.pong()),)
        elif frame.event == PONG:
            return ()
        elif frame.event.startswith(names.CLIENT_EVENT_PREFIX):
            subject = self._permitted(codec.read_client_event(frame))
            return self._table["client event"][self.standing(subject.channel)](self, subject, now)
        else:
            raise MessageRefused(_unsupported(frame.event))
        return self._table[frame.event][self.standing(subject.channel)](self, subject, now)

    # The cells of the table

    def _ask(self, wanted: Subscribe, _now: float) -> Iterable[Effect]:
        fault = names.channel_fault(wanted.channel, self.rules.channel_name_length)
        if fault:
            raise SubscriptionRefused(wanted.channel, fault, "InvalidChannel", 400, "channel_name")
        self._check_room(wanted.channel)
        if wanted.channel_data:
            self._check_size(wanted.channel, len(wanted.channel_data.encode()))
        member = None
        kind = ChannelKind.of(wanted.channel)
        if kind is ChannelKind.INBOX:
            self._check_inbox(wanted)
        elif kind is not ChannelKind.PUBLIC:
            self._check_auth(wanted)
        if kind is ChannelKind.PRESENCE:
            member = self._check_member(wanted)
        self.authorized |= kind is not ChannelKind.PUBLIC
        self._subscriptions[wanted.channel] = _Subscription(Standing.ASKED, member)
        return (Join(wanted.channel, member),)

    def _exists(self, wanted: Subscribe, _now: float) -> Iterable[Effect]:
        raise MessageRefused(f"Existing subscription to channel {wanted.channel}")

    def _leave(self, unwanted: Unsubscribe, _now: float) -> Iterable[Effect]:
        subscription = self._subscriptions.pop(unwanted.channel)
        return (Leave(unwanted.channel, subscription.member),)

    def _never_on(self, unwanted: Unsubscribe, _now: float) -> Iterable[Effect]:
        raise MessageRefused(
            f"No current subscription to channel {shown(unwanted.channel)}, or subscription in progress"
        )

    def _pass_on(self, event: ClientEvent, now: float) -> Iterable[Effect]:
        limit = self.rules.event_data_bytes
        if names.exceeds(event.data, limit):
            text = f"Client event rejected - its data exceeds the allowed maximum ({limit} bytes)"
            raise MessageRefused(text, reason="event_data_bytes")
        self._count_client_event(now)
        member = self._subscriptions[event.channel].member
        return (Whisper(event.channel, event.event, event.data, member.user_id if member else None),)

    def _not_on(self, event: ClientEvent, _now: float) -> Iterable[Effect]:
        raise MessageRefused(
            f"Cannot broadcast client event (connection not subscribed to channel {shown(event.channel)})"
        )

    def _sign_in(self, wanted: SignIn, _now: float) -> Iterable[Effect]:
        user_data, user = self._check_user(wanted)
        limit = self.rules.watchlist_users
        effects: list[Effect] = [Say(codec.signin_success(user_data))]
        if self.rules.watchlists and len(user.watchlist) > limit:
            message = f"Watchlist has {len(user.watchlist)} users: the first {limit} are watched"
            effects.append(Say(codec.error(message, WATCHLIST_LIMIT)))
        self._user = User(user.id, user.user_info, user.watchlist[:limit] if self.rules.watchlists else ())
        self.authorized = True
        return [*effects, SignInUser(self._user)]

    def _sign_in_again(self, wanted: SignIn, _now: float) -> Iterable[Effect]:
        user_data, user = self._check_user(wanted)
        assert self._user is not None
        if user.id != self._user.id:
            raise MessageRefused("Connection is already signed in as a different user")
        return (Say(codec.signin_success(user_data)),)

    def _welcome(self, outcome: _Outcome, _now: float) -> Iterable[Effect]:
        self._subscriptions[outcome.channel].standing = Standing.ON
        return (Say(codec.subscription_succeeded(outcome.channel, outcome.data)),)

    def _turn_away(self, outcome: _Outcome, _now: float) -> Iterable[Effect]:
        del self._subscriptions[outcome.channel]
        assert outcome.refusal is not None
        return self._tell_channel(outcome.refusal)

    def _nothing(self, _outcome: _Outcome, _now: float) -> Iterable[Effect]:
        return ()

    _table: ClassVar[Mapping[str, Mapping[Standing, Callable[..., Iterable[Effect]]]]] = {
        SUBSCRIBE: {Standing.OFF: _ask, Standing.ASKED: _exists, Standing.ON: _exists},
        UNSUBSCRIBE: {Standing.OFF: _never_on, Standing.ASKED: _leave, Standing.ON: _leave},
        "client event": {Standing.OFF: _not_on, Standing.ASKED: _not_on, Standing.ON: _pass_on},
        SIGNIN: {Standing.OFF: _sign_in, Standing.ON: _sign_in_again},
        "joined": {Standing.OFF: _nothing, Standing.ASKED: _welcome, Standing.ON: _nothing},
        "refused": {Standing.OFF: _nothing, Standing.ASKED: _turn_away, Standing.ON: _nothing},
    }

    # What the cells check

    def _check_auth(self, wanted: Subscribe) -> None:
        """Verify a token `key:signature` ("Generating authentication strings")."""
        key, colon, signature = (wanted.auth or "").rpartition(":")
        if not colon:
            raise SubscriptionRefused(
                wanted.channel,
                f"Auth value for subscription to {wanted.channel} is invalid: should be of format 'key:signature'",
                unproven="format",
            )
        if not signing.same(self.rules.key, key):
            text = f"Invalid key in subscription auth data: '{shown(key)}'"
            raise SubscriptionRefused(wanted.channel, text, unproven="key")
        to_sign = signing.channel_string(self.socket_id, wanted.channel, wanted.channel_data)
        if not signing.verify(self.rules.secret, to_sign, signature):
            raise SubscriptionRefused(
                wanted.channel,
                f"Invalid signature: Expected HMAC SHA256 hex digest of {shown(to_sign)}, but got {shown(signature)}",
                unproven="signature",
            )

    def _check_member(self, wanted: Subscribe) -> Member:
        """Tell who joins a presence channel, from data whose signature was verified, or from the sign-in."""
        if wanted.channel_data:
            member = codec.read_member(wanted.channel, wanted.channel_data)
        elif self._user is not None:
            member = Member(self._user.id, self._user.user_info)
            self._check_size(wanted.channel, len(member.user_id.encode()) + len(bytes(member.user_info or b"")))
        else:
            raise SubscriptionRefused(
                wanted.channel,
                f"Subscription to presence channel {wanted.channel} needs channel_data with a user_id,"
                " or a user who is signed in",
            )
        if not 0 < len(member.user_id) <= self.rules.user_id_length:
            raise SubscriptionRefused(
                wanted.channel,
                f"user_id in channel_data must have 1 to {self.rules.user_id_length} characters",
                reason="user_id_length",
            )
        return member

    def _check_size(self, channel: str, size: int) -> None:
        """Bound what is kept, and told to others, of one user ("Presence channels", limits)."""
        limit = self.rules.presence_member_bytes
        if size > limit:
            text = f"channel_data exceeds the allowed maximum ({limit} bytes)"
            raise SubscriptionRefused(channel, text, "LimitReached", 413, "presence_member_bytes")

    def _check_room(self, channel: str) -> None:
        """Bound what one connection can make the server keep."""
        limit = self.rules.connection_channels
        if len(self._subscriptions) >= limit:
            text = f"Subscription to {channel} rejected - a connection may be on {limit} channels at most"
            raise SubscriptionRefused(channel, text, "LimitReached", 403, "connection_channels")

    def _check_inbox(self, wanted: Subscribe) -> None:
        """Let only its own user into an inbox ("Server to user messages"); the sign-in is all the auth there is."""
        if self._user is None or wanted.channel != names.INBOX_PREFIX + self._user.id:
            raise SubscriptionRefused(wanted.channel, f"{wanted.channel} is open to its user alone, after signing in")

    def _check_user(self, wanted: SignIn) -> tuple[str, User]:
        """Verify a sign-in ("Authenticating users"), then read who it is."""
        key, colon, signature = (wanted.auth or "").rpartition(":")
        if not colon:
            raise MessageRefused("Invalid format: auth must have the format key:signature", unproven="format")
        if not wanted.user_data:
            raise MessageRefused("Missing parameter: data.user_data")
        if not signing.same(self.rules.key, key):
            raise MessageRefused(f"Invalid key in sign-in auth data: '{shown(key)}'", unproven="key")
        to_sign = signing.user_string(self.socket_id, wanted.user_data)
        if not signing.verify(self.rules.secret, to_sign, signature):
            raise MessageRefused(
                f"Invalid signature: Expected HMAC SHA256 hex digest of {shown(to_sign)}, but got {shown(signature)}",
                unproven="signature",
            )
        return wanted.user_data, codec.read_user(wanted.user_data)

    def _permitted(self, event: ClientEvent) -> ClientEvent:
        """Let a client event through whose app and channel allow such events at all ("Client events")."""
        if not self.rules.client_events:
            raise MessageRefused("To send client events, you must enable this feature in the settings of the app.")
        if ChannelKind.of(event.channel) not in (ChannelKind.PRIVATE, ChannelKind.PRESENCE):
            raise MessageRefused("Client event rejected - only supported on private and presence channels")
        limit = self.rules.event_name_length
        if len(event.event) > limit:
            text = f"Client event rejected - its name exceeds the allowed maximum ({limit} characters)"
            raise MessageRefused(text, reason="event_name_length")
        return event

    def _count_client_event(self, now: float) -> None:
        """Count one client event; refuse it when the last second has seen as many as are allowed."""
        limit = self.rules.client_events_per_second
        if self._client_event_times is None:
            self._client_event_times = deque()
        times = self._client_event_times
        while times and not 0.0 <= now - times[0] < 1.0:  # older than a second, or of a clock that was set back
            times.popleft()
        if len(times) >= limit:
            raise MessageRefused(
                f"Client event rejected due to rate limit (at most {limit} per second)",
                CLIENT_EVENT_RATE,
                "client_events_per_second",
            )
        times.append(now)

    def _tell_channel(self, refusal: SubscriptionRefused) -> Iterable[Effect]:
        """Refuse a subscription in each form that some official client listens to."""
        yield _refuse(refusal, "channel")
        if self.rules.subscription_errors:
            yield Say(codec.subscription_error(refusal))
        if self.rules.internal_subscription_errors:
            yield Say(codec.subscription_error(refusal, internal=True))


def _refuse(refusal: MessageRefused, by: str) -> Refuse:
    return Refuse(codec.error(refusal.message, refusal.code), by, refusal.reason, refusal.unproven)


class _Outcome(Struct, frozen=True):
    """What came of a `Join`."""

    channel: str
    data: str | Raw = NOTHING
    refusal: SubscriptionRefused | None = None


def shown(text: str) -> str:
    """Repeat what a client said, but no more of it than serves to find a fault."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _unsupported(event: str) -> str:
    if event.startswith(names.RESERVED_EVENT_PREFIXES):
        return f"Unsupported event received on socket: '{shown(event)}'"
    return f"Client event rejected - the name of a client event starts with 'client-', unlike '{shown(event)}'"


_Subject = Subscribe | Unsubscribe | ClientEvent | _Outcome
