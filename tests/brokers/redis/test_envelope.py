"""What travels between nodes, and what is refused there."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from slanger.brokers.redis import envelope
from slanger.brokers.redis.envelope import Added, BadMessage, Event, Removed, Terminate

LONGEST = 1000
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
EVENT = {"k": "event", "v": 1, "o": "node", "s": 7, "t": {"event": "e"}, "x": "1.2"}
ADDED = {"k": "added", "v": 1, "o": "node", "u": "ann", "i": {"name": "Ann"}}


def text(said: object) -> bytes:
    """Write JSON."""
    return json.dumps(said).encode()


class Reading(SynchronousTestCase):
    """Envelopes are checked like any input."""

    def assert_bad(self, said: bytes) -> None:
        """See that neither the log nor the bus may hold it."""
        self.assertRaises(BadMessage, envelope.read, said, LONGEST)
        self.assertRaises(BadMessage, envelope.read_arrival, b'["1-0","",' + said + b"]", LONGEST)

    def test_event(self) -> None:
        """Each kind of envelope is read as it was written, the text of an event byte for byte."""
        told = Raw(b'{"event":"e","data":" {\\"a\\": \\"\\u00fc\\" } "}')
        for said in (Event(v=1, o="node", s=7, t=told, x="1.2"), Terminate(v=1, o="node", s=8, u="ann")):
            self.assertEqual(envelope.read(envelope.write(said), LONGEST), said)
            arrival = b'["1700000000000-3","1700000000000-1",' + envelope.write(said) + b"]"
            at, before, read = envelope.read_arrival(arrival, LONGEST)
            self.assertEqual(read, said)
            self.assertLess(before, at)
            self.assertEqual(envelope.position_text(at), "1700000000000-3")

    def test_presence(self) -> None:
        """What the scripts write of presence is read, with info and without."""
        self.assertEqual(envelope.read(text(ADDED), LONGEST), Added(v=1, o="node", u="ann", i=Raw(b'{"name": "Ann"}')))
        without = envelope.read(text(ADDED | {"i": None}), LONGEST)
        assert isinstance(without, Added)
        self.assertIsNone(envelope.member(without.u, bytes(without.i)).user_info)
        removed = {"k": "removed", "v": 1, "o": "node", "u": "ann"}
        self.assertEqual(envelope.read(text(removed), LONGEST), Removed(v=1, o="node", u="ann"))

    def test_bad(self) -> None:
        """Bad messages: no JSON, another version or kind, wrong types, missing members, huge, nested without end."""
        for said in (
            b"",
            b"hello",
            b"\xff",
            b"[]",
            b"null",
            text(EVENT | {"v": 2}),
            text(EVENT | {"k": "gossip"}),
            text(EVENT | {"s": "7"}),
            text(EVENT | {"t": "text"}),
            text(EVENT | {"x": 1}),
            text({key: value for key, value in EVENT.items() if key != "o"}),
            text(ADDED | {"i": "Ann"}),
            text(ADDED | {"u": 1}),
            text(EVENT | {"t": {"event": "e" * LONGEST}}),
            b'{"k":"event","v":1,"o":"node","s":1,"t":' + b"[" * 900,
        ):
            self.assert_bad(said)

    def test_bad_positions(self) -> None:
        """Bad messages: a position that Redis would not give."""
        for at in ("", "1", "a-b", "-1-0", "1-0 ", "1" * 30 + "-0", "1-" + "1" * 30):
            said = b'["' + at.encode() + b'","",' + text(EVENT) + b"]"
            self.assertRaises(BadMessage, envelope.read_arrival, said, LONGEST)

    @given(st.binary(max_size=200))
    def test_anything(self, said: bytes) -> None:
        """Bad messages: whatever the bytes are, nothing but `BadMessage` comes of them."""
        for read in (envelope.read, envelope.read_arrival):
            with contextlib.suppress(BadMessage):
                read(said, LONGEST)

    @given(VALUES)
    def test_any_member(self, value: object) -> None:
        """Bad messages: so it is when any member of a good one is replaced by any other value."""
        for good in (EVENT, ADDED):
            for name in good:
                with contextlib.suppress(BadMessage):
                    envelope.read(text(good | {name: value}), LONGEST)

    @given(st.integers(0, 10**13), st.integers(0, 10**5))
    def test_positions(self, milliseconds: int, number: int) -> None:
        """Positions are in order as Redis's are, and a moment is before all that was published at it."""
        at = envelope.position(f"{milliseconds}-{number}")
        self.assertEqual(envelope.position_text(at), f"{milliseconds}-{number}")
        self.assertLess(at, envelope.position(f"{milliseconds}-{number + 1}"))
        self.assertLess(at, envelope.position(f"{milliseconds + 1}-0"))
        self.assertEqual(envelope.time_of(at), milliseconds)
        self.assertTrue(envelope.at_time(milliseconds) < at or milliseconds == 0)
