"""Channel kinds, the grammar of names, and socket ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol import names
from slanger.protocol.names import ChannelKind
from tests.strategies import PROPERTY, channel_names, texts


class Kinds(SynchronousTestCase):
    """Channel types: the prefix says what a channel is."""

    def test_private(self) -> None:
        """Channel types: private, encrypted and private cache channels are private."""
        for channel in ("private-a", "private-encrypted-a", "private-cache-a", "private-encrypted-cache-a", "private-"):
            self.assertIs(ChannelKind.of(channel), ChannelKind.PRIVATE, channel)

    def test_presence(self) -> None:
        """Channel types: `presence-encrypted-` has no meaning of its own."""
        for channel in ("presence-a", "presence-cache-a", "presence-encrypted-a"):
            self.assertIs(ChannelKind.of(channel), ChannelKind.PRESENCE, channel)
            self.assertTrue(names.is_presence(channel))

    def test_public(self) -> None:
        """Channel types: anything else is public, and prefixes are case-sensitive."""
        for channel in (
            "a",
            "cache-a",
            "cache-private-a",
            "Private-a",
            "PRESENCE-a",
            "private",
            "presence",
            "my-private-a",
        ):
            self.assertIs(ChannelKind.of(channel), ChannelKind.PUBLIC, channel)
            self.assertFalse(names.is_presence(channel))

    def test_inbox(self) -> None:
        """Channel types: `#` is reserved for a user's inbox."""
        self.assertIs(ChannelKind.of("#server-to-user-7"), ChannelKind.INBOX)


class ChannelNames(SynchronousTestCase):
    """Name rules of channels."""

    @PROPERTY
    @given(channel_names)
    def test_right(self, channel: str) -> None:
        """Name rules: letters, digits and _ - = @ , . ; up to 200 of them."""
        self.assertIsNone(names.channel_fault(channel))

    @PROPERTY
    @given(channel_names, st.characters(exclude_categories=["Cs"], exclude_characters="_-=@,.;"), channel_names)
    def test_wrong(self, before: str, character: str, after: str) -> None:
        """Name rules: any other character is refused, wherever it stands; only ASCII letters and digits count."""
        if not (character.isascii() and character.isalnum()):
            self.assertIsNotNone(names.channel_fault(before[:90] + character + after[:90]))

    def test_newline_at_the_end(self) -> None:
        """Name rules: a newline at the end is not overlooked."""
        self.assertIn("only letters, digits", names.channel_fault("news\n") or "")

    def test_length(self) -> None:
        """Name rules: 200 characters by default, or what is set."""
        self.assertIsNone(names.channel_fault("a" * 200))
        self.assertIn("201 characters, at most 200", names.channel_fault("a" * 201) or "")
        self.assertIn("at most 164", names.channel_fault("a" * 165, 164) or "")

    def test_empty(self) -> None:
        """Name rules: an empty name is refused."""
        self.assertIn("empty", names.channel_fault("") or "")

    def test_inbox(self) -> None:
        """Name rules: an inbox name is 16 characters longer than its user id, which alone is measured."""
        self.assertIsNone(names.channel_fault("#server-to-user-" + "7" * 200))
        self.assertIsNotNone(names.channel_fault("#server-to-user-"))
        self.assertIsNotNone(names.channel_fault("#anything"))


class EventNames(SynchronousTestCase):
    """Names of events triggered over REST."""

    def test_any_character(self) -> None:
        """Delivered channel event: characters are free, as Laravel sends class names."""
        self.assertIsNone(names.event_fault("App\\Events\\OrderShipped v1.ü"))

    def test_length(self) -> None:
        """Limits: 200 characters."""
        self.assertIsNone(names.event_fault("e" * 200))
        self.assertIsNotNone(names.event_fault("e" * 201))

    def test_empty(self) -> None:
        """Limits: an event has a name."""
        self.assertIsNotNone(names.event_fault(""))

    def test_reserved(self) -> None:
        """Delivered channel event: the protocol's own prefixes are reserved."""
        for event in ("pusher:error", "pusher_internal:member_added"):
            self.assertIn("reserved", names.event_fault(event) or "")


class SocketIds(SynchronousTestCase):
    """connection_established: the form of a socket id."""

    def test_right(self) -> None:
        """connection_established: two numbers joined by a dot."""
        for text in ("0.0", "1234.1234", "131160.155806628"):
            self.assertTrue(names.is_socket_id(text), text)

    def test_wrong(self) -> None:
        """connection_established: nothing before, after, or else."""
        for text in ("", "1", "1.", ".1", "1.2.3", "1.2\n", " 1.2", "a.b", "1:2", "\u0661.\u0662"):
            self.assertFalse(names.is_socket_id(text), text)

    @PROPERTY
    @given(texts)
    def test_anything(self, text: str) -> None:
        """Any text is either right or wrong, never a fault."""
        self.assertEqual(
            names.is_socket_id(text),
            bool(text) and set(text) <= set("0123456789.") and text.count(".") == 1 and all(text.split(".")),
        )
