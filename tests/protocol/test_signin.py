"""Who signs in, and what that opens: the row `pusher:signin` of a session's table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from slanger.protocol.effects import Effect, Join, Say, SignInUser, SignOutUser
from slanger.protocol.session import Standing
from tests.builders import (
    KEY,
    Json,
    auth,
    error,
    make_member,
    make_user,
    read,
    say,
    sign_in,
    subscribe,
    unsubscribe,
    user_auth,
)
from tests.protocol.sessions import SessionTestCase

INBOX = "#server-to-user-7"


class SigningIn(SessionTestCase):
    """Signing in, and being told why not."""

    def sign_in(self, user_data: Any, **data: Any) -> list[Effect]:
        """Sign in with a text as user_data, rightly signed unless `auth` is named."""
        token = user_auth(user_data) if isinstance(user_data, str) else None
        return self.receive(say("pusher:signin", {"auth": token, "user_data": user_data, **data}))

    def assert_not_signed_in(self, effects: Iterable[Effect], message: str) -> None:
        """Check that the one answer is an error without a code, and that nobody is signed in."""
        self.assert_refused(effects, message)
        self.assertIsNone(self.session.user)


class SignIn(SigningIn):
    """pusher:signin: the column OFF, nobody is signed in."""

    def test_success(self) -> None:
        """pusher:signin: the client is told with the text that it sent, then the user counts."""
        user_data = '{"id": "7",  "user_info":{"name":"\\u00dc"}, "more":[1]}'
        success, effect = self.sign_in(user_data)
        assert isinstance(success, Say)
        self.assertEqual(
            read(success.message),
            {"event": "pusher:signin_success", "data": json.dumps({"user_data": user_data}, separators=(",", ":"))},
        )
        self.assertEqual(effect, SignInUser(make_user("7", info='{"name":"\\u00dc"}')))
        self.assertEqual(self.session.user, make_user("7", info='{"name":"\\u00dc"}'))

    def test_vectors(self) -> None:
        """Auth tokens: the tokens of the documentation and of the Python SDK sign in as they stand."""
        for user_data, signature in (
            ('{"id":"12345"}', "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"),
            ('{"id": "12345"}', "d06dc389319077f890321aeac54e04868921e1601686928f61fc9bf702e92830"),
        ):
            self.begin()
            effects = self.sign_in(user_data, auth=f"{KEY}:{signature}")
            self.assertEqual(effects[1:], [SignInUser(make_user("12345"))])

    def test_data_as_a_string(self) -> None:
        """Messages in general: a sign-in whose data is a JSON string is understood."""
        user_data = '{"id":"7"}'
        text = say("pusher:signin", json.dumps({"auth": user_auth(user_data), "user_data": user_data}))
        self.assertEqual(self.receive(text)[1:], [SignInUser(make_user("7"))])

    def test_format(self) -> None:
        """pusher:signin: a token without a colon, or none at all, is refused in the hosted service's words."""
        for token in ("58df8b0c", "", None):
            self.assert_not_signed_in(
                self.sign_in('{"id":"7"}', auth=token), "Invalid format: auth must have the format key:signature"
            )

    def test_missing_user_data(self) -> None:
        """pusher:signin: without user_data it is refused in the hosted service's words."""
        for user_data in ("", None):
            said = self.said(self.sign_in(user_data, auth=f"{KEY}:00"))
            self.assertEqual([(each["event"], each["data"]["code"]) for each in said], [("pusher:error", None)])
            self.assertTrue(said[0]["data"]["message"].startswith("Missing parameter: data.user"))
            self.assertIsNone(self.session.user)

    def test_no_data(self) -> None:
        """pusher:signin: a message with no data that could be read is answered, and changes nothing."""
        forms: tuple[Any, ...] = ([], 7, "text", {"auth": 7}, {"user_data": {"id": "7"}})
        for data in forms:
            [said] = self.said(self.receive(say("pusher:signin", data)))
            self.assertIn("Invalid data of pusher:signin", said["data"]["message"])
        self.assertIsNone(self.session.user)

    def test_foreign_key(self) -> None:
        """Auth tokens: the key before the colon is that of another app."""
        signature = user_auth('{"id":"7"}').partition(":")[2]
        self.assert_not_signed_in(
            self.sign_in('{"id":"7"}', auth=f"another:{signature}"), "Invalid key in sign-in auth data: 'another'"
        )

    def test_wrong_signature(self) -> None:
        """pusher:signin: a bad signature is refused; the data is verified byte for byte, before it is read."""
        for user_data, signature in (
            ('{"id":"7"}', "0" * 64),
            ('{"id":"7"}', ""),
            ("garbage", "00"),
            ('{"id": "7"}', user_auth('{"id":"7"}').partition(":")[2]),
            ('{"id":"7"}', user_auth('{"id":"7"}', "1.1").partition(":")[2]),
            ('{"id":"7"}', auth("", '{"id":"7"}').partition(":")[2]),
        ):
            self.assert_not_signed_in(
                self.sign_in(user_data, auth=f"{KEY}:{signature}"),
                f"Invalid signature: Expected HMAC SHA256 hex digest of 1234.1234::user::{user_data},"
                f" but got {signature}",
            )

    def test_user_id(self) -> None:
        """pusher:signin: the id must be a non-empty string."""
        self.assert_not_signed_in(self.sign_in('{"id":""}'), "Invalid user_data: id must be a non-empty string")
        for user_data in ('{"id":7}', '{"id":null}', "{}", "[]", "garbage", '"7"', '{"user_id":"7"}'):
            [said] = self.said(self.sign_in(user_data))
            self.assertIn("Invalid user_data", said["data"]["message"])
            self.assertIsNone(self.session.user)

    def test_user_info(self) -> None:
        """pusher:signin: user_info is an object, or absent, or null."""
        for info in ('["Ann"]', '"Ann"', "7"):
            self.assert_not_signed_in(
                self.sign_in('{"id":"7","user_info":' + info + "}"),
                "Invalid user_data: user_info must be an object - if it is supplied",
            )
        self.assertEqual(self.sign_in('{"id":"7","user_info":null}')[1:], [SignInUser(make_user("7"))])

    def test_watchlist_of_strings(self) -> None:
        """pusher:signin: a watchlist is an array of strings, or absent, or null."""
        for watchlist in ('"8"', "[8]", '{"8":1}', "[null]"):
            [said] = self.said(self.sign_in('{"id":"7","watchlist":' + watchlist + "}"))
            self.assertIn("Invalid user_data", said["data"]["message"])
        self.assertEqual(self.sign_in('{"id":"7","watchlist":null}')[1:], [SignInUser(make_user("7"))])


class SignInAgain(SigningIn):
    """pusher:signin: the column ON, someone is signed in."""

    def setUp(self) -> None:
        """Sign user 7 in."""
        super().setUp()
        self.assertEqual(len(self.receive(sign_in("7", "8"))), 2)

    def test_same_user(self) -> None:
        """pusher:signin: the same user again is told of success, and counts once."""
        said = self.said(self.receive(sign_in("7", "8", "9", info={"name": "Ann"})))
        self.assertEqual([each["event"] for each in said], ["pusher:signin_success"])
        self.assertEqual(self.session.user, make_user("7", "8"))

    def test_other_user(self) -> None:
        """pusher:signin: a connection belongs to one user; another is refused, and the first stays."""
        self.assert_refused(self.receive(sign_in("8")), "Connection is already signed in as a different user")
        self.assertEqual(self.session.user, make_user("7", "8"))

    def test_badly(self) -> None:
        """pusher:signin: a wrong signature is refused though the user is signed in, and he stays so."""
        [said] = self.said(self.sign_in('{"id":"7"}', auth=f"{KEY}:00"))
        self.assertIn("Invalid signature", said["data"]["message"])
        self.assertEqual(self.session.user, make_user("7", "8"))

    def test_gone(self) -> None:
        """pusher:signin: with the connection its user counts no more; he leaves his channels first."""
        self.put_on("news")
        *_, last = self.session.gone()
        self.assertEqual(last, SignOutUser(make_user("7", "8")))

    def test_gone_without(self) -> None:
        """pusher:signin: who never signed in does not sign out."""
        self.begin()
        self.assertEqual(list(self.session.gone()), [])


class Watchlists(SigningIn):
    """Watchlist events: whom a user may watch."""

    def sign_in_with(self, watchlist: list[str]) -> tuple[list[Json], tuple[str, ...]]:
        """Sign in with a watchlist; give what is said, and who is watched."""
        *said, effect = self.sign_in(json.dumps({"id": "7", "watchlist": watchlist}))
        assert isinstance(effect, SignInUser)
        self.assertEqual(self.session.user, effect.user)
        return self.said(said), effect.user.watchlist

    def test_limit(self) -> None:
        """Watchlist events: of more than 100 the first 100 are kept, with success first and then code 4302."""
        users = [f"u{number}" for number in range(101)]
        said, watched = self.sign_in_with(users)
        self.assertEqual(said[0]["event"], "pusher:signin_success")
        self.assertEqual(said[1:], [error("Watchlist has 101 users: the first 100 are watched", 4302)])
        self.assertEqual(watched, tuple(users[:100]))

    def test_within_limit(self) -> None:
        """Watchlist events: 100 are no fault; one who is named twice counts once."""
        users = [f"u{number}" for number in range(100)]
        said, watched = self.sign_in_with([*users, "u0", "u99"])
        self.assertEqual(([each["event"] for each in said], watched), (["pusher:signin_success"], tuple(users)))

    def test_limit_of_app(self) -> None:
        """Watchlist events: the limit is the app's to set."""
        self.begin(watchlist_users=1)
        said, watched = self.sign_in_with(["8", "9"])
        self.assertEqual((said[1]["data"]["code"], watched), (4302, ("8",)))

    def test_switched_off(self) -> None:
        """Watchlist events: where the app has them off nobody is watched, and no list is too long."""
        self.begin(watchlists=False)
        said, watched = self.sign_in_with([str(number) for number in range(200)])
        self.assertEqual(([each["event"] for each in said], watched), (["pusher:signin_success"], ()))


class AnyOrder(SigningIn):
    """pusher:signin: it comes before, between and after subscriptions."""

    def test_between(self) -> None:
        """pusher:signin: a sign-in leaves every channel where it stands, and channels leave it alone."""
        self.receive(subscribe("news"))
        self.put_on("private-a")
        self.assertIsInstance(self.receive(sign_in("7"))[-1], SignInUser)
        self.assert_unchanged("news", Standing.ASKED)
        self.assert_unchanged("private-a", Standing.ON)
        self.put_on("later")
        self.receive(unsubscribe("private-a"))
        self.assertEqual(self.session.user, make_user("7"))


class Inbox(SigningIn):
    """Inbox channel: open to its own user."""

    def test_own(self) -> None:
        """Inbox channel: its user joins with empty auth, with null, and with none."""
        forms: tuple[Json, ...] = ({"auth": ""}, {"auth": None}, {})
        for data in forms:
            self.begin()
            self.receive(sign_in("7"))
            self.assertEqual(self.receive(say("pusher:subscribe", {"channel": INBOX, **data})), [Join(INBOX, None)])
            self.assertEqual(
                self.said(self.session.joined(INBOX)),
                [{"event": "pusher_internal:subscription_succeeded", "channel": INBOX, "data": "{}"}],
            )

    def test_any_user_id(self) -> None:
        """Inbox channel: a user's id may hold any characters, and so may his inbox's name."""
        for user_id in ("Ann Müller", "a/b#c", "ann@example.org"):
            self.begin()
            self.receive(sign_in(user_id))
            channel = f"#server-to-user-{user_id}"
            self.assertEqual(
                self.receive(say("pusher:subscribe", {"channel": channel, "auth": ""})), [Join(channel, None)]
            )

    def test_others(self) -> None:
        """Inbox channel: nobody else gets in: not before he signs in, no other user, and no right signature helps."""
        for user_id in (None, "8", "77"):
            self.begin()
            if user_id is not None:
                self.receive(sign_in(user_id))
            for token in ("", auth(INBOX)):
                said = self.said(self.receive(say("pusher:subscribe", {"channel": INBOX, "auth": token})))
                self.assertEqual(said[0], error(f"{INBOX} is open to its user alone, after signing in"))
                self.assert_unchanged(INBOX, Standing.OFF)

    def test_client_event(self) -> None:
        """Inbox channel: client events on it are refused."""
        self.receive(sign_in("7"))
        self.put_on(INBOX)
        self.assert_refused(
            self.receive(say("client-a", {}, channel=INBOX)),
            "Client event rejected - only supported on private and presence channels",
        )


class PresenceOfUsers(SigningIn):
    """Presence: a signed-in user joins without channel_data."""

    def enter(self, user_data: str, channel: str = "presence-a") -> list[Effect]:
        """Sign in, then ask for a presence channel as pusher-js does."""
        self.assertIsInstance(self.sign_in(user_data)[-1], SignInUser)
        return self.receive(say("pusher:subscribe", {"channel": channel, "auth": auth(channel)}))

    def test_member(self) -> None:
        """Presence: without channel_data the id and the info are those of the user who signed in."""
        effects = self.enter('{"id":"7","user_info":{"name": "Ann"}}')
        self.assertEqual(effects, [Join("presence-a", make_member("7", '{"name": "Ann"}'))])

    def test_channel_data_wins(self) -> None:
        """Presence: channel_data that was sent and signed says who joins, though somebody signed in."""
        self.receive(sign_in("7"))
        self.assertEqual(self.receive(subscribe("presence-a", "8")), [Join("presence-a", make_member("8"))])

    def test_signature(self) -> None:
        """Auth tokens: signed in or not, a presence channel needs its signature."""
        self.receive(sign_in("7"))
        said = self.said(self.receive(say("pusher:subscribe", {"channel": "presence-a", "auth": f"{KEY}:00"})))
        self.assertIn("Invalid signature", said[0]["data"]["message"])

    def test_user_id_length(self) -> None:
        """Presence, limits: 128 characters of a user id, also of one who signed in, and not one more."""
        self.assertEqual(self.enter(json.dumps({"id": "u" * 128})), [Join("presence-a", make_member("u" * 128))])
        self.begin()
        said = self.said(self.enter(json.dumps({"id": "u" * 129})))
        self.assertEqual(said[0]["event"], "pusher:error")
        self.assert_unchanged("presence-a", Standing.OFF)

    def test_too_large(self) -> None:
        """Presence, limits: a user object beyond 1 KB is refused, also that of one who signed in."""
        said = self.said(self.enter(json.dumps({"id": "7", "user_info": {"a": "x" * 1024}})))
        self.assertEqual(json.loads(said[1]["data"])["type"], "LimitReached")
        self.assert_unchanged("presence-a", Standing.OFF)


class Authorized(SigningIn):
    """Authorized connections: whom the app has vouched for."""

    def test_nobody_yet(self) -> None:
        """Authorized connections: neither a new connection counts, nor one on public channels."""
        self.assertFalse(self.session.authorized)
        self.put_on("news")
        self.put_on("cache-news")
        self.assertFalse(self.session.authorized)

    def test_signed_in(self) -> None:
        """Authorized connections: one who signed in counts."""
        self.receive(sign_in("7"))
        self.assertTrue(self.session.authorized)

    def test_private(self) -> None:
        """Authorized connections: one on a channel that needs authorisation counts, of each kind."""
        for channel, user_id in (
            ("private-a", None),
            ("private-encrypted-a", None),
            ("private-cache-a", None),
            ("presence-a", "7"),
            ("presence-cache-a", "7"),
        ):
            self.begin()
            self.put_on(channel, user_id)
            self.assertTrue(self.session.authorized)

    def test_left(self) -> None:
        """Authorized connections: one who has left such a channel again still counts: its app has vouched for it."""
        self.put_on("private-a")
        self.receive(say("pusher:unsubscribe", {"channel": "private-a"}))
        self.assertTrue(self.session.authorized)

    def test_refused(self) -> None:
        """Authorized connections: a wrong signature vouches for nobody."""
        self.receive(say("pusher:subscribe", {"channel": "private-a", "auth": f"{KEY}:00"}))
        self.sign_in('{"id":"7"}', auth=f"{KEY}:00")
        self.assertFalse(self.session.authorized)
