"""What is occupied, by how many, and by whom."""

from __future__ import annotations

from tests.api.requests import ApiTestCase

CHANNELS = "/apps/3/channels"


class QueryTestCase(ApiTestCase):
    """Some occupied channels."""

    def setUp(self) -> None:
        """Occupy a public, a private and a presence channel; one user of the latter has two connections."""
        super().setUp()
        self.listen("news", "1.1")
        self.listen("news", "1.2")
        self.listen("private-chat", "1.3")
        for socket_id, user_id in (("2.1", "ann"), ("2.2", "ann"), ("2.3", "10")):
            self.listen("presence-room", socket_id, user_id)


class EmptyTests(ApiTestCase):
    """A node nobody is on."""

    def test_channels(self) -> None:
        """Channels: none is an object with an empty object; PHP and Go break on anything else."""
        self.assertEqual(self.get(CHANNELS).body, b'{"channels":{}}')

    def test_vacated(self) -> None:
        """Channels: a channel whose last subscriber left is not occupied any more."""
        listener = self.listen("news")
        self.assert_answered(self.get(CHANNELS), {"channels": {"news": {}}})
        self.registry.leave(listener, "news", None)
        self.assert_answered(self.get(CHANNELS), {"channels": {}})


class ChannelsTests(QueryTestCase):
    """`GET channels`."""

    def test_all(self) -> None:
        """Channels: without `info` each occupied channel is an empty object."""
        expected: dict[str, object] = {"news": {}, "private-chat": {}, "presence-room": {}}
        self.assert_answered(self.get(CHANNELS), {"channels": expected})

    def test_prefix(self) -> None:
        """Channels: `filter_by_prefix` keeps those whose name begins so."""
        for prefix, names in (
            ("p", {"private-chat", "presence-room"}),
            ("news", {"news"}),
            ("x", set()),
            ("ews", set()),
        ):
            response = self.get(CHANNELS, ("filter_by_prefix", prefix))
            self.assertEqual((response.status, set(response.json["channels"])), (200, names))
        self.assertEqual(len(self.get(CHANNELS, ("filter_by_prefix", "")).json["channels"]), 3)

    def test_user_count(self) -> None:
        """Channels: `user_count` counts users, not connections."""
        response = self.get(CHANNELS, ("filter_by_prefix", "presence-"), ("info", "user_count"))
        self.assert_answered(response, {"channels": {"presence-room": {"user_count": 2}}})

    def test_user_count_of_others(self) -> None:
        """Channels: `user_count` without a prefix of presence channels is a 400."""
        for parameters in ((), (("filter_by_prefix", "pre"),), (("filter_by_prefix", "news"),)):
            self.assert_refused(self.get(CHANNELS, *parameters, ("info", "user_count")), 400)

    def test_subscription_count(self) -> None:
        """Channels: `subscription_count` counts connections."""
        response = self.get(CHANNELS, ("filter_by_prefix", "news"), ("info", "subscription_count"))
        self.assert_answered(response, {"channels": {"news": {"subscription_count": 2}}})

    def test_unknown_info(self) -> None:
        """Channels: an attribute nobody knows is a 400."""
        self.assert_refused(self.get(CHANNELS, ("info", "colour")), 400)


class ChannelTests(QueryTestCase):
    """`GET channels/NAME`."""

    def test_occupied(self) -> None:
        """Channel: an occupied channel says so."""
        self.assert_answered(self.get(f"{CHANNELS}/news"), {"occupied": True})

    def test_unoccupied(self) -> None:
        """Channel: one nobody is on is no error, and has nobody."""
        self.assert_answered(self.get(f"{CHANNELS}/empty"), {"occupied": False})
        response = self.get(f"{CHANNELS}/presence-empty", ("info", "user_count"))
        self.assert_answered(response, {"occupied": False, "user_count": 0})

    def test_info(self) -> None:
        """Channel: users of presence channels and connections of any are counted on demand."""
        response = self.get(f"{CHANNELS}/presence-room", ("info", "user_count"))
        self.assert_answered(response, {"occupied": True, "user_count": 2})
        response = self.get(f"{CHANNELS}/presence-room", ("info", "user_count,subscription_count"))
        self.assert_answered(response, {"occupied": True, "user_count": 2, "subscription_count": 3})
        response = self.get(f"{CHANNELS}/private-chat", ("info", "subscription_count"))
        self.assert_answered(response, {"occupied": True, "subscription_count": 1})

    def test_user_count_of_others(self) -> None:
        """Channel: other channels have no users: a 400."""
        self.assert_refused(
            self.get(f"{CHANNELS}/news", ("info", "user_count")),
            400,
            "Cannot retrieve the user count unless the channel is a presence channel",
        )

    def test_refusals(self) -> None:
        """Channel: an unknown attribute and an impossible name are a 400."""
        self.assert_refused(self.get(f"{CHANNELS}/news", ("info", "colour")), 400)
        for name in ("a b", "é", "c" * 201):
            self.assert_refused(self.get(f"{CHANNELS}/{name}"), 400)


class UsersTests(QueryTestCase):
    """`GET channels/NAME/users`."""

    def test_users(self) -> None:
        """Users: each is listed once, ids as strings."""
        self.assert_answered(self.get(f"{CHANNELS}/presence-room/users"), {"users": [{"id": "ann"}, {"id": "10"}]})

    def test_nobody(self) -> None:
        """Users: an empty presence channel has an empty list."""
        self.assert_answered(self.get(f"{CHANNELS}/presence-empty/users"), {"users": []})

    def test_body_md5(self) -> None:
        """Users: the digest that Python's SDK sends with every GET is not extraneous."""
        digest = ("body_md5", "d41d8cd98f00b204e9800998ecf8427e")
        self.assertEqual(self.get(f"{CHANNELS}/presence-room/users", digest).status, 200)

    def test_other_channels(self) -> None:
        """Users: only presence channels have users: a 400 for any other."""
        for name in ("news", "private-chat", "empty", "a b"):
            self.assert_refused(self.get(f"{CHANNELS}/{name}/users"), 400)

    def test_extraneous(self) -> None:
        """Users: there are no parameters here, and any is a 400 that names it."""
        self.assert_refused(
            self.get(f"{CHANNELS}/presence-room/users", ("info", "user_count")),
            400,
            "The following query string parameters are extraneous: info",
        )

    def test_one_line(self) -> None:
        """Errors: they are one line, also where they repeat something that holds the end of one; found by fuzzing."""
        self.assert_refused(
            self.get(f"{CHANNELS}/presence-room/users", ("two\nlines\r\x85", "1")),
            400,
            "The following query string parameters are extraneous: two?lines??",
        )
