"""Signatures, against the vectors of the documentation and of the official SDKs."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol import signing
from tests.builders import KEY, SECRET, SOCKET_ID
from tests.strategies import PROPERTY, texts

BODY = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
BODY_MD5 = "ec365a775a4cd0599faeb73354201b6f"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"

AUTHENTICATION = [("auth_key", KEY), ("auth_timestamp", "1353088179"), ("auth_version", "1.0")]
QUESTION = [("filter_by_prefix", "presence-"), ("info", "user_count")]


class ChannelSignatures(SynchronousTestCase):
    """Auth tokens: what an authorisation endpoint signs for a channel."""

    def assert_signature(self, channel: str, channel_data: str | None, signature: str) -> None:
        """Check a vector in both directions."""
        to_sign = signing.channel_string(SOCKET_ID, channel, channel_data)
        self.assertEqual(signing.sign(SECRET, to_sign), signature)
        self.assertTrue(signing.verify(SECRET, to_sign, signature))

    def test_private(self) -> None:
        """Auth tokens: a private channel is signed with the socket id."""
        self.assert_signature(
            "private-foobar", None, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        )

    def test_presence_number(self) -> None:
        """Auth tokens: a presence channel is signed with its channel_data; here the user id is a number."""
        self.assert_signature(
            "presence-foobar",
            '{"user_id":10,"user_info":{"name":"Mr. Pusher"}}',
            "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c",
        )

    def test_presence_other_info(self) -> None:
        """Auth tokens: other user_info gives another signature."""
        self.assert_signature(
            "presence-foobar",
            '{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
        )

    def test_presence_string(self) -> None:
        """Auth tokens: the vector of the Go SDK, whose user id is a string."""
        self.assert_signature(
            "presence-foobar",
            '{"user_id":"10","user_info":{"name":"Mr. Pusher"}}',
            "48dac51d2d7569e1e9c0f48c227d4b26f238fa68e5c0bb04222c966909c4f7c4",
        )

    def test_presence_spaces(self) -> None:
        """Auth tokens: the vector of the Python SDK; spaces in channel_data count byte for byte."""
        self.assert_signature(
            "presence-foobar",
            '{"user_id": "10", "user_info": {"name": "Mr. Channels"}}',
            "96f61cf0b64a80c5cf1852da9dea2998a90fd7fa840c4cc62212573f1c524cdf",
        )

    def test_docs_error(self) -> None:
        """Auth tokens: the pair printed in the documentation, one text beside another's signature, fails."""
        to_sign = signing.channel_string(
            SOCKET_ID, "presence-foobar", '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
        )
        self.assertFalse(
            signing.verify(SECRET, to_sign, "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c")
        )

    def test_private_with_channel_data(self) -> None:
        """Auth tokens: channel_data is signed on any channel where it is there, as the SDKs do."""
        self.assertEqual(signing.channel_string(SOCKET_ID, "private-a", "{}"), "1234.1234:private-a:{}")

    def test_empty_channel_data(self) -> None:
        """Auth tokens: empty channel_data counts as none."""
        self.assertEqual(signing.channel_string(SOCKET_ID, "private-a", ""), "1234.1234:private-a")


class UserSignatures(SynchronousTestCase):
    """Auth tokens: what an authorisation endpoint signs for a user."""

    def test_docs(self) -> None:
        """Auth tokens: the vector of the documentation."""
        self.assertEqual(
            signing.sign(SECRET, SOCKET_ID + '::user::{"id":"12345"}'),
            "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
        )

    def test_spaces(self) -> None:
        """Auth tokens: the vector of the Python SDK, with a space in the user's data."""
        self.assertEqual(
            signing.sign(SECRET, SOCKET_ID + '::user::{"id": "12345"}'),
            "d06dc389319077f890321aeac54e04868921e1601686928f61fc9bf702e92830",
        )


class RequestSignatures(SynchronousTestCase):
    """REST API: authentication: what a server SDK signs."""

    def test_trigger(self) -> None:
        """REST API: authentication: the trigger of the documentation."""
        to_sign = signing.request_string("POST", "/apps/3/events", [*AUTHENTICATION, ("body_md5", BODY_MD5)])
        self.assertEqual(
            signing.sign(SECRET, to_sign), "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        )

    def test_channels(self) -> None:
        """REST API: authentication: a query for channels."""
        to_sign = signing.request_string("GET", "/apps/3/channels", [*AUTHENTICATION, *QUESTION])
        self.assertEqual(
            signing.sign(SECRET, to_sign), "16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291"
        )

    def test_channels_from_python(self) -> None:
        """REST API: authentication: the same query by the Python SDK, which signs the digest of an empty body."""
        to_sign = signing.request_string(
            "GET", "/apps/3/channels", [*AUTHENTICATION, ("body_md5", EMPTY_MD5), *QUESTION]
        )
        self.assertEqual(
            signing.sign(SECRET, to_sign), "f3f17c61ae491cc9085db68b22076e9b772e3bcb301659d655153ee3f9782aba"
        )

    def test_body_digest(self) -> None:
        """REST API: authentication: the digest of the documentation's body, and of none."""
        self.assertEqual(signing.body_digest(BODY), BODY_MD5)
        self.assertEqual(signing.body_digest(b""), EMPTY_MD5)

    def test_order(self) -> None:
        """REST API: authentication: parameters are sorted by lower-cased key, wherever the signature stands."""
        to_sign = signing.request_string(
            "get", "/apps/3/channels", [("auth_signature", "x"), ("info", "a"), ("Filter", "b"), ("auth_key", "k")]
        )
        self.assertEqual(to_sign, "GET\n/apps/3/channels\nauth_key=k&filter=b&info=a")

    def test_list_order(self) -> None:
        """REST API: authentication: the values of one key keep their order."""
        to_sign = signing.request_string("GET", "/", [("channels[]", "b"), ("a", "1"), ("channels[]", "a")])
        self.assertEqual(to_sign, "GET\n/\na=1&channels[]=b&channels[]=a")


class Comparisons(SynchronousTestCase):
    """Comparing what a client sent with what is right."""

    @PROPERTY
    @given(texts, texts)
    def test_same(self, ours: str, theirs: str) -> None:
        """Two texts are the same when they are equal, whatever they hold."""
        self.assertEqual(signing.same(ours, theirs), ours == theirs)
        self.assertTrue(signing.same(ours, ours))

    def test_constant_time(self) -> None:
        """The comparison is the one of the standard library that takes as long whatever the first wrong byte is."""
        compared: list[tuple[bytes, bytes]] = []

        def compare(ours: bytes, theirs: bytes) -> bool:
            compared.append((ours, theirs))
            return False

        self.patch(hmac, "compare_digest", compare)
        self.assertFalse(signing.verify(SECRET, "text", "wrong"))
        self.assertEqual(compared, [(signing.sign(SECRET, "text").encode(), b"wrong")])

    def test_lone_surrogate(self) -> None:
        """A signature that UTF-8 cannot carry is wrong, and no fault."""
        self.assertFalse(signing.verify(SECRET, "text", "\ud800"))

    def test_upper_case(self) -> None:
        """Auth tokens: a signature is lower-case hexadecimal."""
        self.assertFalse(signing.verify(SECRET, "text", signing.sign(SECRET, "text").upper()))


class HmacTests(SynchronousTestCase):
    """Signatures are HMAC-SHA256, by whatever means."""

    @given(texts | st.text(min_size=60, max_size=70), texts)
    def test_any(self, secret: str, text: str) -> None:
        """Signing: any text under any secret, be it longer than a block of the hash, as the standard library does."""
        expected = hmac.digest(secret.encode(), text.encode(), "sha256").hex()
        self.assertEqual([signing.sign(secret, text) for _ in range(2)], [expected] * 2)
