"""What a REST request says, in its query and in its body."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar
from urllib.parse import unquote, unquote_plus

import msgspec

from slanger.protocol.codec import UNREADABLE, explain
from slanger.protocol.errors import BadRequest

Pairs = Sequence[tuple[str, str]]
T = TypeVar("T")


def read_query(query: bytes, decode: Callable[[str], str] = unquote) -> Pairs:
    """Split a query into decoded pairs, in order; percent-decoding leaves a literal ``+`` as it is."""
    pairs = (pair.partition("=") for pair in query.decode("latin-1").split("&") if pair)
    return [(decode(key), decode(value)) for key, _, value in pairs]


def read_form_query(query: bytes) -> Pairs:
    """The same by the rules of HTML forms, where ``+`` is a space."""
    return read_query(query, unquote_plus)


def first(pairs: Pairs, key: str) -> str | None:
    """Give the first value of a parameter."""
    return next((value for name, value in pairs if name == key), None)


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
    wanted = frozenset(name.strip() for name in (info or "").split(",")) - {""}
    unknown = wanted.difference(known)
    if unknown:
        raise BadRequest(
            f"Unknown info attribute {', '.join(sorted(unknown))!r}: this request knows {', '.join(sorted(known))}"
        )
    return wanted
