"""What can go wrong, as values.

::

    PusherError                  anything the other side is told
    ├── ConnectionRefused        ends a connection, with a close code
    ├── MessageRefused           answers one message; the connection stays
    │   └── SubscriptionRefused  answers one `pusher:subscribe`
    └── RequestRefused           answers one REST request
        ├── BadRequest           400
        ├── Unauthorized         401
        ├── Forbidden            403
        ├── NotFound             404
        ├── TooLarge             413
        └── TooMany              429

Every message is written for the person who reads it: what was wrong, and what would be right.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar


class Reconnect(enum.Enum):
    """What an official client does when it is closed with a code (protocol documentation, "close codes")."""

    NEVER = "do not retry unchanged"
    BACK_OFF = "retry after a second or more"
    AT_ONCE = "retry at once"
    STAY = "an event code: the connection stays open"


@dataclass(frozen=True, slots=True)
class Code:
    """A number of the Pusher protocol, and what it makes clients do."""

    number: int
    meaning: str
    reconnect: Reconnect


APP_NOT_FOUND = Code(4001, "application does not exist", Reconnect.NEVER)
APP_DISABLED = Code(4003, "application disabled", Reconnect.NEVER)
OVER_QUOTA = Code(4004, "application is over its connection quota", Reconnect.NEVER)
PATH_NOT_FOUND = Code(4005, "path not found", Reconnect.NEVER)
UNSUPPORTED_VERSION = Code(4007, "unsupported protocol version", Reconnect.NEVER)
CONNECTION_UNAUTHORIZED = Code(4009, "connection not authorized", Reconnect.NEVER)
OVER_CAPACITY = Code(4100, "over capacity", Reconnect.BACK_OFF)
SHUTTING_DOWN = Code(4200, "server is shutting down", Reconnect.AT_ONCE)
PONG_NOT_RECEIVED = Code(4201, "pong not received in time", Reconnect.AT_ONCE)
CLIENT_EVENT_RATE = Code(4301, "client event rejected due to rate limit", Reconnect.STAY)
WATCHLIST_LIMIT = Code(4302, "watchlist limit exceeded", Reconnect.STAY)


class PusherError(Exception):
    """Something the other side is told.

    :param message: one sentence for a human; it is sent as it stands.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConnectionRefused(PusherError):
    """The connection ends: `pusher:error` with the code, then a close frame with the same code.

    :param reason: why, in a word or two that stay the same, to be counted by.
    :param app: the label of the app, where there is one.
    """

    def __init__(self, code: Code, message: str, reason: str, app: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.app = app


class MessageRefused(PusherError):
    """One message is answered with `pusher:error`; the connection stays.

    :param code: an event code such as `CLIENT_EVENT_RATE`; most refusals carry none.
    :param reason: why, in a word or two that stay the same, to be counted by; a limit has the name of its option.
    :param unproven: what is wrong with the proof that the app has agreed, in a word: ``format``, ``key`` or
        ``signature``; empty where it is something else that is wrong.
    """

    def __init__(self, message: str, code: Code | None = None, reason: str = "invalid", unproven: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = "auth" if unproven else reason
        self.unproven = unproven


_REASONS = {"AuthError": "auth", "ServerError": "fault"}


class SubscriptionRefused(MessageRefused):
    """A subscription did not come about.

    :param channel: the name the client asked for.
    :param kind: `type` of the `pusher:subscription_error`: ``AuthError``, ``InvalidChannel``, ``LimitReached`` or
        ``ServerError``.
    :param status: the HTTP status an authorisation endpoint would have used for it.
    """

    def __init__(
        self,
        channel: str,
        message: str,
        kind: str = "AuthError",
        status: int = 401,
        reason: str = "",
        unproven: str = "",
    ) -> None:
        super().__init__(message, reason=reason or _REASONS.get(kind, "invalid"), unproven=unproven)
        self.channel = channel
        self.kind = kind
        self.status = status


def channel_full(channel: str, most: int) -> SubscriptionRefused:
    """Refuse a user whom a presence channel has no room for.

    :param most: users that it may have.
    """
    text = f"Presence channel {channel} is full: at most {most} members are allowed"
    return SubscriptionRefused(channel, text, "LimitReached", 403, "presence_members")


class RequestRefused(PusherError):
    """A REST request is answered with a status and plain text.

    :param unproven: what is wrong with its authentication, in a word, such as ``key``, ``timestamp`` or ``signature``;
        empty where it is something else that is wrong.
    :ivar app: the label of the app it is for, once that is known.
    """

    status: ClassVar[int]
    app = ""

    def __init__(self, message: str, unproven: str = "") -> None:
        super().__init__(message)
        self.unproven = unproven


class BadRequest(RequestRefused):
    """The request asks for something it may not, or in the wrong form."""

    status = 400


class Unauthorized(RequestRefused):
    """The request is not signed as it must be."""

    status = 401


class Forbidden(RequestRefused):
    """The app is disabled ("REST API": status codes)."""

    status = 403


class NotFound(RequestRefused):
    """Nothing has this path, or no app this id."""

    status = 404

    def __init__(self, message: str = "404 NOT FOUND", unproven: str = "") -> None:
        super().__init__(message, unproven)


class TooLarge(RequestRefused):
    """The event, or the whole body, is larger than is allowed."""

    status = 413


class TooMany(RequestRefused):
    """The app asks more often than it may; a second later it may again."""

    status = 429
