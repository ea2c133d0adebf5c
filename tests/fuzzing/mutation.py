"""Structured mutation: valid JSON with some of its values changed. Mutations of bytes mostly break its syntax."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.fuzzing.targets import CUT

ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e308, 2**63, -(2**63), 2**64, 10**30),
    *("", "0", "\u0000", "\u2028", "ß", "\U0001f642", "x" * 200, "a" * 201, "1.2", "1.1\n", "{}", "null", '"'),
    *([], {}, [[]], {"": None}, "news", "private-room", "presence-"),
    *("private-encrypted-cache-a", "#server-to-user-ann", "pusher:x", "pusher_internal:y", "client-z", ["a"] * 101),
)  # fmt: skip
"""Values to put in another's place."""


def mutate(data: bytes, seed: int) -> bytes | None:
    """Change a value or two in a part of an input that is JSON; None where no part is.

    :param seed: decides what is changed, and how.
    """
    rng = random.Random(seed)
    parts = data.split(CUT)
    at = rng.randrange(len(parts))
    try:
        value = json.loads(parts[at])
        for _ in range(rng.randint(1, 2)):
            value = _changed(value, rng)
        parts[at] = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()
    except (ValueError, RecursionError):
        return None
    return CUT.join(parts)


def _changed(value: Any, rng: random.Random) -> Any:
    places = list(_places(value))
    if not places:
        return rng.choice(ODD)
    box, key = rng.choice(places)
    how = rng.randrange(5)
    if how == 0:
        del box[key]
    elif how == 1 and isinstance(box[key], dict | list):
        box[key] = json.dumps(box[key])  # some clients encode twice
    elif how == 2 and isinstance(box, dict):
        box[str(rng.choice(ODD))] = box[key]
    elif how == 3 and isinstance(box[key], str):
        box[key] += str(rng.choice(ODD))
    else:
        box[key] = rng.choice(ODD)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Walk all places in a value that hold another."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
