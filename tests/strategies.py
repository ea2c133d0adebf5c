"""Hypothesis strategies: what clients might send, and what the protocol allows."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

settings.register_profile(
    "slanger", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
PROPERTY = settings.get_profile("slanger")
"""No test asserts a time, so none fails on a slow machine."""

texts = st.text(st.characters(exclude_categories=["Cs"]))
"""Any text that UTF-8 can carry."""

channel_names = st.text(string.ascii_letters + string.digits + "_-=@,.;", min_size=1, max_size=200)
"""Every name that the grammar allows."""

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(texts, values, max_size=4),
    max_leaves=8,
)
"""Any JSON value."""

json_objects = st.dictionaries(texts, json_values, max_size=4)
"""Any JSON object."""

_events = st.sampled_from(
    ["pusher:subscribe", "pusher:unsubscribe", "pusher:ping", "pusher:pong", "pusher:signin", "client-typing", "typing"]
)

frames = st.fixed_dictionaries(
    {"event": _events | texts},
    optional={
        "channel": channel_names | json_values,
        "data": json_values
        | st.fixed_dictionaries(
            {"channel": channel_names | json_values},
            optional={"auth": texts | json_values, "channel_data": texts | json_values},
        ),
        "user_id": json_values,
    },
)
"""Messages as a client might send them, right and wrong."""

valid_texts = frames.map(lambda frame: json.dumps(frame, ensure_ascii=False).encode())


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    """Draw a message with some bytes cut, doubled or overwritten."""
    text = draw(valid_texts)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + draw(st.binary(max_size=8) | st.just(text[start:end] * 2)) + text[end:]
    return text


hostile_texts = st.binary(max_size=200) | valid_texts | mutated_texts()
"""Any bytes, and those that come close to a message."""
