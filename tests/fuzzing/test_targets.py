"""Each target of the fuzzer with some inputs, so that none of them rots between two runs of the fuzzer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzzing.inputs import SEEDS, WORDS
from tests.fuzzing.targets import CUT, TARGETS, Target
from tests.strategies import PROPERTY


def as_bytes(word: bytes | str) -> bytes:
    """Write a word."""
    return word.encode() if isinstance(word, str) else word


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """Draw a seed of a target with some bytes cut, doubled or overwritten, or with a word put in."""
    text = draw(st.sampled_from(SEEDS[name]))
    words = st.sampled_from([as_bytes(word) for word in WORDS[name]])
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + draw(st.binary(max_size=8) | words | st.just(text[start:end] * 2)) + text[end:]
    return text


class TargetTests(SynchronousTestCase):
    """Whatever the bytes are, a target lets nothing out."""

    def assert_holds(self, name: str) -> None:
        """Give a target its seeds, some that come close, and some bytes."""
        target: Target = TARGETS[name]()

        @settings(PROPERTY, max_examples=100)
        @given(mutated(name) | st.binary(max_size=100))
        def any_bytes(data: bytes) -> None:
            target(data)

        for seed in SEEDS[name]:
            target(seed)
        any_bytes()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_codec(self) -> None:
        """Any message of a client is read, or refused with a reason that can be sent."""
        self.assert_holds("codec")

    def test_session(self) -> None:
        """Any conversation gives effects that can be carried out."""
        self.assert_holds("session")

    def test_frames(self) -> None:
        """Any frames are taken alike on the short way and by Autobahn."""
        self.assert_holds("frames")

    def test_handshake(self) -> None:
        """Any opening handshake is judged alike on the short way and by Autobahn."""
        self.assert_holds("handshake")

    def test_http(self) -> None:
        """Any bytes on the REST port are answered alike on the lean way and by twisted.web."""
        self.assert_holds("http")

    def test_api(self) -> None:
        """Any request with a right signature is answered in the API's own words."""
        self.assert_holds("api")

    def test_envelope(self) -> None:
        """Anything that arrives over Redis is read, or refused."""
        self.assert_holds("envelope")

    def test_settings(self) -> None:
        """Any settings file is read, or refused in a sentence."""
        self.assert_holds("settings")

    def test_all(self) -> None:
        """Each target has seeds and words, and those of several parts can be told to be such."""
        self.assertEqual(set(TARGETS), set(SEEDS))
        self.assertEqual(set(TARGETS), set(WORDS))
        self.assertRaises(UnicodeDecodeError, CUT.decode)
