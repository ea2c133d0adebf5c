"""pusher-js, in Node, against a real server."""

from __future__ import annotations

from tests.sdk.case import ADDED, REFUSED, REMOVED, SUBSCRIBED, ClientTestCase, JsClient, fresh, running_server
from tests.server import KEY, Server


class Connecting(ClientTestCase):
    """Getting in, or not."""

    def test_connects(self) -> None:
        """Connection established: pusher-js is given a socket id of two numbers, and pings after 120 s of silence."""
        state = self.connected().do("state")
        self.assertRegex(state["socket_id"], r"\A\d+\.\d+\Z")
        self.assertEqual(state["activity_timeout"], 120_000)

    def test_socket_ids_differ(self) -> None:
        """Connection established: each connection has a socket id of its own."""
        self.assertEqual(len({self.connected().socket_id for _ in range(10)}), 10)

    def test_path_prefix(self) -> None:
        """Connection URL: the option `wsPath` may put any prefix before the path."""
        self.connected(wsPath="/realtime")

    def test_unknown_key(self) -> None:
        """Close codes: a key that no app has is told as 4001, and pusher-js does not come back."""
        client = self.client(key="00000000000000000000")
        self.assertEqual(client.expect_error()["code"], 4001)
        client.expect("disconnected")
        self.assertEqual(client.state, "disconnected")

    def test_key_with_a_hyphen(self) -> None:
        """Connection URL: a key may hold a hyphen, in its path and in tokens."""
        self.use_server(running_server("--app-key=a-key-with-hyphens"))
        self.connected(key="a-key-with-hyphens", auth_key="a-key-with-hyphens").subscribe(fresh("private-room"))


class Subscribing(ClientTestCase):
    """Getting on channels, or not."""

    def test_public(self) -> None:
        """Subscription succeeded: a public channel is open to anybody, and the answer holds an empty object."""
        self.assertEqual(self.connected().subscribe(fresh("news")), {})

    def test_private(self) -> None:
        """Subscription succeeded: a private channel is open to who has a token."""
        self.assertEqual(self.connected().subscribe(fresh("private-room")), {})

    def test_many_channels(self) -> None:
        """Subscribing: one connection may be on many channels at once."""
        client = self.connected("1")
        for kind in ("news", "private-room", "presence-room") * 10:
            client.subscribe(fresh(kind))

    def test_wrong_secret(self) -> None:
        """Failure of a subscription: a token made with another secret is refused, and the connection stays."""
        client = self.connected(secret="00000000000000000000")
        channel = fresh("private-room")
        client.do("subscribe", channel=channel)
        error = client.expect_error()
        self.assertIsNone(error["code"])
        self.assertIn("Invalid signature", error["message"])
        refusal = client.expect(REFUSED, channel).data
        self.assertEqual((refusal["type"], refusal["status"]), ("AuthError", 401))
        client.subscribe(fresh("news"))

    def test_foreign_key(self) -> None:
        """Authentication tokens: a token must name the key that the client connected with."""
        client = self.connected(auth_key="00000000000000000000")
        client.do("subscribe", channel=fresh("private-room"))
        self.assertIn("Invalid key in subscription auth data", client.expect_error()["message"])

    def test_no_token(self) -> None:
        """Failure of a subscription: private and presence channels are closed to who has no token at all."""
        client = self.connected()
        for kind in ("private-room", "private-encrypted-room", "presence-room"):
            client.send("pusher:subscribe", {"channel": fresh(kind)})
            self.assertIn("should be of format 'key:signature'", client.expect_error()["message"])

    def test_token_of_another_connection(self) -> None:
        """Authentication tokens: a token is good for one connection and one channel alone."""
        channel = fresh("private-room")
        thief = self.connected()
        # signed for the right channel by the right secret, but for socket 1234.1234
        token = f"{KEY}:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        for name in ("private-foobar", channel):
            thief.send("pusher:subscribe", {"channel": name, "auth": token})
            self.assertIn("Invalid signature", thief.expect_error()["message"])

    def test_subscribed_already(self) -> None:
        """Repeated subscribe: a second subscribe is an error without a code, and the first one stands."""
        client, channel = self.connected(), fresh("private-room")
        client.subscribe(channel)
        client.send("pusher:subscribe", {"channel": channel})
        error = client.expect_error()
        self.assertEqual(error, {"code": None, "message": f"Existing subscription to channel {channel}"})
        other = self.connected()
        other.subscribe(channel)
        other.trigger(channel, "client-hello")
        client.expect("client-hello", channel)

    def test_unsubscribe_what_never_was(self) -> None:
        """Unsubscribe: leaving a channel that one is not on harms nobody, not even those who are on it."""
        channel = fresh("presence-room")
        present, stranger = self.connected("1"), self.connected("2")
        present.subscribe(channel)
        stranger.send("pusher:unsubscribe", {"channel": channel})
        self.assertIn("No current subscription", stranger.expect_error()["message"])
        stranger.settle()
        present.settle()
        self.assertEqual(present.seen(REMOVED), [])
        self.assertEqual(stranger.subscribe(channel)["count"], 2)

    def test_unsubscribe(self) -> None:
        """Unsubscribe: who has left hears nothing more, and may come back."""
        channel = fresh("private-room")
        leaver, sender = self.connected(), self.connected()
        leaver.subscribe(channel)
        sender.subscribe(channel)
        leaver.unsubscribe(channel)
        leaver.settle()
        sender.trigger(channel, "client-unheard")
        sender.settle()
        leaver.subscribe(channel)
        sender.trigger(channel, "client-heard")
        leaver.expect("client-heard", channel)
        self.assertEqual(leaver.seen("client-unheard"), [])


class Present(ClientTestCase):
    """Presence channels: who is here, who comes and who goes."""

    def test_roster(self) -> None:
        """Presence: a joiner is given all members, itself among them, with what is known of them."""
        channel = fresh("presence-room")
        ann, bob = self.connected("ann"), self.client({"user_id": "bob"})
        bob.expect("connected")
        ann.subscribe(channel)
        bob.subscribe(channel)
        members = bob.members(channel)
        self.assertEqual(members["count"], 2)
        self.assertEqual(members["info"], {"ann": {"name": "User ann"}, "bob": None})
        self.assertEqual(members["me"], {"id": "bob", "info": None})

    def test_number_as_user_id(self) -> None:
        """Presence: a user id that is a number is told as text, and is the same user as that text."""
        channel = fresh("presence-room")
        first, second = self.connected(10), self.connected("10")
        self.assertEqual(list(first.subscribe(channel)["members"]), ["10"])
        self.assertEqual(second.subscribe(channel)["count"], 1)

    def test_comes_and_goes(self) -> None:
        """Presence: the others are told of a new member with its info, and that it has gone when it unsubscribes."""
        channel = fresh("presence-room")
        ann, bob = self.connected("ann"), self.connected("bob")
        ann.subscribe(channel)
        bob.subscribe(channel)
        self.assertEqual(ann.expect(ADDED, channel).data, {"id": "bob", "info": {"name": "User bob"}})
        bob.unsubscribe(channel)
        self.assertEqual(ann.expect(REMOVED, channel).data["id"], "bob")
        self.assertEqual(bob.seen(ADDED), [])

    def test_lost_connection(self) -> None:
        """Presence: a member has gone when its connection has."""
        channel = fresh("presence-room")
        ann = self.connected("ann")
        ann.subscribe(channel)
        bob = JsClient(self.driver, self.server, {"user_id": "bob"})
        bob.subscribe(channel)
        bob.disconnect()
        self.assertEqual(ann.expect(REMOVED, channel).data["id"], "bob")
        self.assertEqual(ann.members(channel)["count"], 1)

    def test_two_tabs_of_one_user(self) -> None:
        """Presence: a user with two tabs comes with the first and goes with the last of them."""
        channel = fresh("presence-room")
        ann, tab, other_tab = self.connected("ann"), self.connected("bob"), self.connected("bob")
        ann.subscribe(channel)
        tab.subscribe(channel)
        ann.expect(ADDED, channel)
        self.assertEqual(other_tab.subscribe(channel)["count"], 2)
        tab.unsubscribe(channel)
        tab.settle()
        ann.settle()
        self.assertEqual(ann.seen(ADDED) + ann.seen(REMOVED), [])
        self.assertEqual(ann.members(channel)["count"], 2)
        other_tab.unsubscribe(channel)
        self.assertEqual(ann.expect(REMOVED, channel).data["id"], "bob")

    def test_one_user_with_different_info(self) -> None:
        """Presence: a user is one member even where his tabs bring different info; the first one stands."""
        channel = fresh("presence-room")
        tab = self.client({"user_id": "bob", "user_info": {"name": "Bob"}})
        other_tab = self.client({"user_id": "bob", "user_info": {"name": "Robert"}})
        tab.subscribe(channel)
        self.assertEqual(other_tab.subscribe(channel)["count"], 1)
        self.assertEqual(other_tab.members(channel)["info"], {"bob": {"name": "Bob"}})

    def test_full_channel(self) -> None:
        """Presence: a hundred members fit, with 900 bytes of info each; the next is refused and stays connected."""
        channel = fresh("presence-hall")
        info = {"about": "ü" * 450}
        *members, last = [self.client({"user_id": str(n), "user_info": info}) for n in range(100)]
        for member in members:
            member.do("subscribe", channel=channel)
        for member in members:
            member.expect(SUBSCRIBED, channel)
        last.subscribe(channel)
        roster = last.members(channel)
        self.assertEqual((roster["count"], roster["info"]), (100, {str(n): info for n in range(100)}))
        late = self.connected("late")
        late.do("subscribe", channel=channel)
        self.assertEqual(late.expect(REFUSED, channel).data["type"], "LimitReached")
        late.settle()


class ClientEvents(ClientTestCase):
    """Events from subscriber to subscribers."""

    def test_private(self) -> None:
        """Client events: the other subscribers get it as it was sent; its sender does not."""
        channel = fresh("private-room")
        ann, bob = self.connected(), self.connected()
        ann.subscribe(channel)
        bob.subscribe(channel)
        ann.trigger(channel, "client-typing", {"who": "Änn", "far": [1, {"deep": None}]})
        seen = bob.expect("client-typing", channel)
        self.assertEqual((seen.data, seen.metadata), ({"who": "Änn", "far": [1, {"deep": None}]}, {}))
        ann.settle()
        self.assertEqual(ann.seen("client-typing"), [])

    def test_presence(self) -> None:
        """Client events: on a presence channel they tell who sent them; another tab of the sender gets them too."""
        channel = fresh("presence-room")
        ann, bob, other_tab = self.connected("ann"), self.connected("bob"), self.connected("ann")
        for client in (ann, bob, other_tab):
            client.subscribe(channel)
        ann.trigger(channel, "client-typing", {"at": "once"})
        for client in (bob, other_tab):
            seen = client.expect("client-typing", channel)
            self.assertEqual((seen.data, seen.metadata), ({"at": "once"}, {"user_id": "ann"}))

    def test_not_subscribed(self) -> None:
        """Client events: one from a connection that is not on the channel is refused, and nobody gets it."""
        channel = fresh("private-room")
        member, stranger = self.connected(), self.connected()
        member.subscribe(channel)
        stranger.send("client-hello", {}, channel)
        error = stranger.expect_error()
        self.assertIsNone(error["code"])
        self.assertIn("connection not subscribed to channel", error["message"])
        stranger.subscribe(channel)
        stranger.trigger(channel, "client-after")
        member.expect("client-after", channel)
        self.assertEqual(member.seen("client-hello"), [])

    def test_public(self) -> None:
        """Client events: there are none on public channels."""
        channel = fresh("news")
        ann, bob = self.connected(), self.connected()
        ann.subscribe(channel)
        bob.subscribe(channel)
        ann.send("client-hello", {}, channel)
        self.assertIn("only supported on private and presence channels", ann.expect_error()["message"])
        bob.settle()
        self.assertEqual(bob.seen("client-hello"), [])

    def test_other_names(self) -> None:
        """Client events: an event whose name does not start with `client-` is refused."""
        channel = fresh("private-room")
        ann, bob = self.connected(), self.connected()
        ann.subscribe(channel)
        bob.subscribe(channel)
        for name in ("hello", "pusher:hello", "pusher_internal:member_added"):
            ann.send(name, {}, channel)
            self.assertIsNone(ann.expect_error()["code"])
        ann.settle()
        bob.settle()
        self.assertEqual([seen for name in ("hello", "pusher:hello", ADDED) for seen in bob.seen(name)], [])

    def test_too_many(self) -> None:
        """Client events: a connection that sends more than ten in a second is told so by code 4301, and stays."""
        channel = fresh("private-room")
        ann = self.connected()
        ann.subscribe(channel)
        ann.trigger(channel, "client-move", times=11)
        self.assertEqual(ann.expect_error()["code"], 4301)
        ann.settle()

    def test_turned_off(self) -> None:
        """Client events: an operator may turn them off."""
        self.use_server(running_server("--no-client-events"))
        channel = fresh("private-room")
        ann = self.connected()
        ann.subscribe(channel)
        ann.trigger(channel, "client-hello")
        self.assertIn("you must enable this feature", ann.expect_error()["message"])


class ComingBack(ClientTestCase):
    """What becomes of clients when the server restarts."""

    def test_restart(self) -> None:
        """Close codes: a server that is shut down says 4200; pusher-js comes back to the next, on all its channels."""
        with Server() as server:
            self.server = server
            ann, bob = self.connected("ann"), self.connected("bob")
            rooms = [fresh("news"), fresh("private-room"), fresh("presence-room")]
            for room in rooms:
                ann.subscribe(room)
                bob.subscribe(room)
            server.terminate()
            for client in (ann, bob):
                self.assertEqual(client.expect_error()["code"], 4200)
        with Server(websocket_port=server.websocket_port):
            self.driver.call("online")  # having met a closed port, pusher-js would wait for 15 seconds
            for client in (ann, bob):
                client.expect("connected")
                for room in rooms:
                    client.expect(SUBSCRIBED, room)
            ann.trigger(rooms[2], "client-hello")
            self.assertEqual(bob.expect("client-hello", rooms[2]).metadata, {"user_id": "ann"})
