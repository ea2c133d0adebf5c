"""What travels between nodes: written here, and checked here like any input.

On the bus it stands in ``["POSITION","THE ONE BEFORE ON THIS CHANNEL",ENVELOPE]``, in the log alone.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Raw

from slanger.protocol.codec import UNREADABLE, explain
from slanger.protocol.messages import Member

VERSION = 1
"""Of this format. Nodes drop what has another."""

NOWHERE = 0
"""The position before all others."""

_NUMBER_BITS = 20
_POSITION = re.compile(r"(\d{1,15})-(\d{1,7})\Z", re.ASCII)


class BadMessage(Exception):
    """Something on the bus is not what a node says."""


class Event(msgspec.Struct, frozen=True, tag_field="k", tag="event", omit_defaults=True):
    """An event for a channel's subscribers.

    :param o: the node it comes from.
    :param s: its number among that node's messages.
    :param t: the finished text.
    :param x: the socket id that is left out.
    """

    v: Literal[1]
    o: str
    s: int
    t: Raw
    x: str | None = None


class Added(msgspec.Struct, frozen=True, tag_field="k", tag="added"):
    """A user's first connection in the cluster joined.

    :param o: the node that said so.
    :param i: his `user_info`, JSON.
    """

    v: Literal[1]
    o: str
    u: str
    i: Raw


class Removed(msgspec.Struct, frozen=True, tag_field="k", tag="removed"):
    """A user's last connection in the cluster left.

    :param o: the node that said so: his own, or one that cleans up after it.
    """

    v: Literal[1]
    o: str
    u: str


class Shared(msgspec.Struct, frozen=True, tag_field="k", tag="held"):
    """A user is held by another number of nodes than before, but by one at least.

    :param n: how many.
    """

    v: Literal[1]
    o: str
    u: str
    n: int


class Terminate(msgspec.Struct, frozen=True, tag_field="k", tag="terminate"):
    """The connections that signed in as a user have to go."""

    v: Literal[1]
    o: str
    s: int
    u: str


Envelope = Event | Added | Removed | Shared | Terminate

_envelope = msgspec.json.Decoder(Envelope)
_arrival = msgspec.json.Decoder(tuple[str, str, Envelope])
_object = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def write(envelope: Event | Terminate) -> bytes:
    """Write an envelope; those of presence are written by scripts."""
    return _encoder.encode(envelope)


def read(text: bytes, longest: int) -> Envelope:
    """Read an envelope of the log.

    :raises BadMessage: with what is wrong with it.
    """
    if len(text) > longest:
        raise BadMessage(f"it has {len(text)} bytes; at most {longest} are expected")
    try:
        return _checked(_envelope.decode(text))
    except UNREADABLE as fault:
        raise BadMessage(explain(fault)) from None


def read_arrival(text: bytes, longest: int) -> tuple[int, int, Envelope]:
    """Read what arrives on the bus: its position, that of the message before on its channel, and the envelope.

    :raises BadMessage: with what is wrong with it.
    """
    if len(text) > longest:
        raise BadMessage(f"it has {len(text)} bytes; at most {longest} are expected")
    try:
        at, before, envelope = _arrival.decode(text)
    except UNREADABLE as fault:
        raise BadMessage(explain(fault)) from None
    return position(at), position(before) if before else NOWHERE, _checked(envelope)


def position(text: str) -> int:
    """Read a position, such as ``1700000000000-0``: milliseconds of Redis's clock and a number.

    :raises BadMessage: it is none.
    """
    form = _POSITION.match(text)
    if form is None:
        raise BadMessage(f"{text[:40]!r} is no position in the log")
    return int(form[1]) << _NUMBER_BITS | int(form[2])


def position_in(answer: bytes) -> int:
    """Read a position that a script answers; where that is none, it is nowhere."""
    try:
        return position(answer.decode()) if answer else NOWHERE
    except (BadMessage, UnicodeDecodeError):
        return NOWHERE


def at_time(milliseconds: int) -> int:
    """Give the position just before a moment of Redis's clock."""
    return max((milliseconds << _NUMBER_BITS) - 1, NOWHERE)


def time_of(at: int) -> int:
    """Tell when something was published: milliseconds of Redis's clock."""
    return at >> _NUMBER_BITS


def position_text(at: int) -> str:
    """Write a position as Redis does."""
    return f"{at >> _NUMBER_BITS}-{at & (1 << _NUMBER_BITS) - 1}"


def member(user_id: str, info: bytes) -> Member:
    """Make a member of what a roster in Redis says.

    :param info: his `user_info`, JSON.
    :raises BadMessage: it is no JSON object.
    """
    if info == b"null":
        return Member(user_id)
    try:
        _object.decode(info)
    except UNREADABLE as fault:
        raise BadMessage(f"user_info {explain(fault)}") from None
    return Member(user_id, Raw(info))


def _checked(envelope: Envelope) -> Envelope:
    if isinstance(envelope, Event):
        if not bytes(envelope.t).startswith(b"{"):
            raise BadMessage("its text is no JSON object")
    elif isinstance(envelope, Added):
        member(envelope.u, bytes(envelope.i))
    return envelope
