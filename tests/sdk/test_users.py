"""Users who sign in by pusher-js; what SDKs send them is in the contract."""

from __future__ import annotations

from typing import Any

from tests.sdk.case import ADDED, REMOVED, SUBSCRIBED, ClientTestCase, JsClient, fresh
from tests.sdk.sdks import PythonSdk
from tests.sdk.tenants import FORGIVING, QUIET, TenantTestCase


class SigningIn(ClientTestCase):
    """Telling the server who one is."""

    def test_signin(self) -> None:
        """Sign-in: the server confirms what the app has signed, and lets the user into his inbox."""
        ann = fresh("ann")
        client = self.signed_in(ann)
        self.assertEqual(client.user_id, ann)
        client.settle()
        self.assertEqual(client.seen("error"), [])

    def test_before_the_connection(self) -> None:
        """Sign-in: who signs in before he is connected is signed in once he is."""
        ann = fresh("ann")
        client = self.client(signs_in_as={"id": ann}, at_once=True)
        client.expect_signed_in()
        self.assertEqual(client.user_id, ann)

    def test_any_order(self) -> None:
        """Sign-in: it may come before subscriptions, after them, and between them."""
        for turn in range(4):
            client = self.client({"user_id": "ann"}, signs_in_as={"id": fresh("ann")})
            client.expect("connected")
            channels = [fresh("news"), fresh("private-room"), fresh("presence-room")]
            steps: list[tuple[str, dict[str, Any]]] = [("subscribe", {"channel": channel}) for channel in channels]
            steps.insert(turn, ("signin", {}))
            for step, arguments in steps:
                client.do(step, **arguments)
            client.expect_signed_in()
            for channel in channels:
                client.expect(SUBSCRIBED, channel)

    def test_all_before_the_connection(self) -> None:
        """Sign-in: subscriptions made before the connection, and a sign-in, come in any order and all succeed."""
        client = self.client(signs_in_as={"id": fresh("ann")}, at_once=True)
        channels = [fresh("news"), fresh("private-room"), fresh("presence-room")]
        for channel in channels:
            client.do("subscribe", channel=channel)
        client.expect_signed_in()
        for channel in channels:
            client.expect(SUBSCRIBED, channel)

    def test_presence_without_channel_data(self) -> None:
        """Presence: who is signed in joins without `channel_data`; the others see id and info of his sign-in."""
        channel, watcher, ann = fresh("presence-room"), self.connected("watcher"), fresh("ann")
        watcher.subscribe(channel)
        client = self.signed_in(ann)
        self.assertEqual(client.subscribe(channel)["count"], 2)
        member = {"id": ann, "info": {"name": f"User {ann}"}}
        self.assertEqual(watcher.expect(ADDED, channel).data, member)
        self.assertEqual(client.members(channel)["me"], member)
        client.unsubscribe(channel)
        self.assertEqual(watcher.expect(REMOVED, channel).data["id"], ann)

    def test_presence_while_signing_in(self) -> None:
        """Presence: who joins without `channel_data` while he signs in is let in once that has succeeded."""
        channel, ann = fresh("presence-room"), fresh("ann")
        client = self.client(signs_in_as={"id": ann}, at_once=True)
        client.do("subscribe", channel=channel)
        client.expect(SUBSCRIBED, channel)
        self.assertEqual(client.members(channel)["me"], {"id": ann, "info": None})

    def test_wrong_secret(self) -> None:
        """Sign-in: what was signed with another secret is refused, and the connection stays, not signed in."""
        client = self.client(signs_in_as={"id": fresh("ann")}, secret="00000000000000000000")
        client.do("signin")
        error = client.expect_error()
        self.assertIsNone(error["code"])
        self.assertIn("Invalid signature", error["message"])
        client.settle()
        self.assertIsNone(client.user_id)
        client.subscribe(fresh("news"))

    def test_foreign_key(self) -> None:
        """Sign-in: a token must name the key that the client connected with."""
        client = self.client(signs_in_as={"id": fresh("ann")}, auth_key="00000000000000000000")
        client.do("signin")
        self.assertIn("Invalid key", client.expect_error()["message"])
        client.settle()
        self.assertIsNone(client.user_id)

    def test_other_inbox(self) -> None:
        """Inbox: nobody gets on the channel of another user, signed in or not."""
        ann = fresh("ann")
        for client in (self.connected(), self.signed_in(fresh("bob"))):
            client.send("pusher:subscribe", {"auth": "", "channel": f"#server-to-user-{ann}"})
            self.assertIsNone(client.expect_error()["code"])
            client.settle()

    def test_no_token_without_signin(self) -> None:
        """Presence: who is not signed in needs `channel_data`, though his token be genuine."""
        client, channel = self.connected(), fresh("presence-room")
        token = PythonSdk(self.server).authorize(client.socket_id, channel)
        client.send("pusher:subscribe", {"channel": channel, **token})
        self.assertIn("needs channel_data", client.expect_error()["message"])
        client.settle()


class Watching(TenantTestCase):
    """Watchlists: who is online, who comes and who goes."""

    def test_who_is_online(self) -> None:
        """Watchlist: after the sign-in a user is told who of his list is online, and who is not."""
        bob, cid, dan = fresh("bob"), fresh("cid"), fresh("dan")
        for user_id in (bob, cid, fresh("eve")):
            self.signed_in(user_id)
        ann = self.signed_in(fresh("ann"), [bob, dan, cid])
        self.assertEqual(sorted(ann.expect("online", scope="watchlist").data["user_ids"]), [bob, cid])
        self.assertEqual(ann.expect("offline", scope="watchlist").data["user_ids"], [dan])
        ann.settle()
        self.assertEqual(ann.seen(None, scope="watchlist"), [])

    def test_comes(self) -> None:
        """Watchlist: a user's first connection that signs in is told to who watches him; no other is."""
        bob = fresh("bob")
        ann, eve = self.signed_in(fresh("ann"), [bob]), self.signed_in(fresh("eve"))
        self.assertEqual(ann.expect("offline", scope="watchlist").data["user_ids"], [bob])
        present = self.connected(bob)
        present.subscribe(fresh("presence-room"))
        self.assertEqual(self.heard_of(bob, ann), [])
        for _ in range(2):
            self.signed_in(bob)
        self.assertEqual(ann.expect("online", scope="watchlist").data["user_ids"], [bob])
        for client in (ann, eve):
            client.settle()
            self.assertEqual(client.seen(None, scope="watchlist"), [])

    def test_goes(self) -> None:
        """Watchlist: it is told that a user has gone for good; not that one is back at once, or has lost one tab."""
        self.lobby, self.porter = fresh("presence-lobby"), self.connected("porter")
        self.porter.subscribe(self.lobby)
        bob, cid, dan, eve = users = [fresh(name) for name in ("bob", "cid", "dan", "eve")]
        ann, fay = self.signed_in(fresh("ann"), users), self.signed_in(fresh("fay"), [bob])
        visits = {user_id: self.visit(user_id) for user_id in users}
        self.visit(dan)
        for watcher, watched in ((ann, users), (fay, [bob])):
            for user_id in watched:
                watcher.expect("online", scope="watchlist", where=lambda data, who=user_id: who in data["user_ids"])
            watcher.expect("offline", scope="watchlist")  # the first picture
        self.leave(visits[eve])
        self.visit(eve)
        for user_id in (dan, bob, cid):
            self.leave(visits[user_id])
        for watcher, gone in ((ann, [bob, cid]), (fay, [bob])):
            told = [watcher.expect("offline", scope="watchlist").data["user_ids"] for _ in gone]
            self.assertEqual(told, [[user_id] for user_id in gone])
            watcher.settle()
            self.assertEqual(watcher.seen(None, scope="watchlist"), [])

    def test_too_long(self) -> None:
        """Watchlist: of too many users the first are watched, and the client is told by code 4302."""
        users = [fresh(name) for name in ("bob", "cid", "dan")]
        ann = self.signed_in(fresh("ann"), users, **FORGIVING.credentials)
        self.assertEqual(ann.expect_error()["code"], 4302)
        self.assertEqual(ann.expect("offline", scope="watchlist").data["user_ids"], users[:2])
        for user_id in reversed(users):
            self.signed_in(user_id, **FORGIVING.credentials)
        for user_id in (users[1], users[0]):
            self.assertEqual(ann.expect("online", scope="watchlist").data["user_ids"], [user_id])

    def test_turned_off(self) -> None:
        """Watchlist: an app may do without."""
        bob = fresh("bob")
        ann = self.signed_in(fresh("ann"), [bob], **QUIET.credentials)
        self.signed_in(bob, **QUIET.credentials)
        ann.settle()
        self.assertEqual(ann.seen(None, scope="watchlist"), [])

    def heard_of(self, user_id: str, watcher: JsClient) -> list[str]:
        """List what a watcher was told of a user, and has not claimed."""
        watcher.settle()
        return [seen.event for seen in watcher.seen(None, scope="watchlist") if user_id in seen.data["user_ids"]]

    def visit(self, user_id: str) -> JsClient:
        """Sign a user in by one more connection, that stands in the lobby too, under a name of its own."""
        visitor = self.client({"user_id": fresh("visitor")}, signs_in_as={"id": user_id})
        visitor.subscribe(self.lobby)
        visitor.sign_in()
        return visitor

    def leave(self, visitor: JsClient) -> None:
        """Lose a connection, and wait until the server knows."""
        name = visitor.members(self.lobby)["me"]["id"]
        visitor.disconnect()
        self.porter.expect(REMOVED, self.lobby, where=lambda data: data["id"] == name)


class Terminating(TenantTestCase):
    """Closing a user's connections; who stays away after it is in the contract."""

    def test_come_back(self) -> None:
        """Terminating: an app may choose 4200; pusher-js comes back at once then, and signs in anew."""
        for sdk in self.sdks(FORGIVING):
            ann, channel = fresh("ann"), fresh("news")
            client = self.signed_in(ann, **FORGIVING.credentials)
            client.subscribe(channel)
            client.expect("connected")
            before = client.socket_id
            self.assertEqual(sdk.terminate(ann), {})
            client.expect("connected")
            client.expect_signed_in()
            client.expect(SUBSCRIBED, channel)
            self.assertNotEqual(client.socket_id, before)
