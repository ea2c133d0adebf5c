"""What a session asks of the world around it, as values."""

from __future__ import annotations

from msgspec import Struct

from slanger.protocol.messages import Member, Message, User


class Say(Struct, frozen=True):
    """Send this to the client."""

    message: Message


class Refuse(Say, frozen=True):
    """Tell the client what was refused, and have it counted.

    :param by: what it wanted: ``channel``, or ``user`` where it signs in.
    :param reason: see `MessageRefused`.
    :param unproven: see `MessageRefused`.
    """

    by: str
    reason: str
    unproven: str


class Join(Struct, frozen=True):
    """Put the client on a channel; answer with `Session.joined` or `Session.refused`."""

    channel: str
    member: Member | None


class Leave(Struct, frozen=True):
    """Take the client off a channel it is on, or was about to be."""

    channel: str
    member: Member | None


class Whisper(Struct, frozen=True):
    """Send a client event to the channel's other subscribers."""

    channel: str
    event: str
    data: str
    user_id: str | None


class SignInUser(Struct, frozen=True):
    """Count the connection among its user's."""

    user: User


class SignOutUser(Struct, frozen=True):
    """Count the connection no more among its user's; it is gone."""

    user: User


Effect = Say | Join | Leave | Whisper | SignInUser | SignOutUser
