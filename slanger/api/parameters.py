"""What a REST request says, in its query and in its body."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import unquote, unquote_plus

import msgspec

from slanger.domain.channels import Counts
from slanger.protocol.codec import UNREADABLE, explain
from slanger.protocol.errors import BadRequest
from slanger.protocol.names import is_presence

Pairs = Sequence[tuple[str, str]]
T = TypeVar("T")

ATTRIBUTES = ("subscription_count", "user_count")
"""What `info` may ask for of any channel."""

NOTHING: frozenset[str] = frozenset()


def read_query(query: bytes, decode: Callable[[str], str] = unquote) -> Pairs:
    """Split a query into decoded pairs, in order; percent-decoding leaves a literal ``+`` as it is."""
    pairs = [
        (key, value) for pair in query.decode("latin-1").split("&") if pair for key, _, value in (pair.partition("="),)
    ]
    if b"%" in query or b"+" in query:
        return [(decode(key), decode(value)) for key, value in pairs]
    return pairs


def read_form_query(query: bytes) -> Pairs:
    """The same by the rules of HTML forms, where ``+`` is a space."""
    return read_query(query, unquote_plus)


def first(pairs: Pairs, key: str) -> str | None:
    """Give the first value of a parameter."""
    for name, value in pairs:
        if name == key:
            return value
    return None


def read_body(body: bytes, decoder: msgspec.json.Decoder[T], expected: dict[str, str]) -> T:
    """Read a JSON body.

    :param expected: for each parameter what it must be, in words, for the error.
    :raises BadRequest: with what is wrong.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE as fault:
        place = re.search(r"at `\$\.(\w+)", str(fault))
        if isinstance(fault, msgspec.ValidationError) and place and place[1] in expected:
            raise BadRequest(f"Expected {place[1]} parameter to be {expected[place[1]]}") from None
        raise BadRequest(f"The body is not the JSON object that was expected: {explain(fault)}") from None


def read_info(info: str | None, known: Iterable[str]) -> frozenset[str]:
    """Read the attributes a caller asks for.

    :param info: their names, separated by commas.
    :raises BadRequest: one of them is not known here.
    """
    if not info:
        return NOTHING
    wanted = frozenset(name.strip() for name in info.split(",")) - {""}
    unknown = wanted.difference(known)
    if unknown:
        raise BadRequest(
            f"Unknown info attribute {', '.join(sorted(unknown))!r}: this request knows {', '.join(sorted(known))}"
        )
    return wanted


def attributes(channel: str, counts: Counts, wanted: frozenset[str]) -> dict[str, int]:
    """Give the attributes of a channel that were asked for; those it does not have are left out."""
    values = {"subscription_count": counts.subscriptions, "user_count": counts.users if is_presence(channel) else None}
    return {name: value for name, value in values.items() if name in wanted and value is not None}
