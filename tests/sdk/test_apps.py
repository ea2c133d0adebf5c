"""Several apps on one server, each with its own clients, channels, users, switches and back end."""

from __future__ import annotations

from tests.sdk.case import ADDED, MISSED, SIGNED_IN, fresh
from tests.sdk.sdks import PythonSdk, Refused
from tests.sdk.tenants import BLUE, RED, STRICT, TenantTestCase


class Apart(TenantTestCase):
    """Two apps that use the same names: nothing crosses."""

    def test_channels(self) -> None:
        """Apps: events, of the app and of clients, stay within the app, though channels have the same name."""
        for kind in ("news", "private-room", "presence-room"):
            channel = fresh(kind)
            blue, red, sender = [self.connected(name, **app.credentials) for name, app in APPS]
            for client in (blue, red, sender):
                client.subscribe(channel)
            for sdk in self.sdks(BLUE):
                sdk.trigger([channel], "price-changed", {"eur": 1})
                sdk.trigger_batch([{"channel": channel, "name": "price-settled", "data": "1"}])
                blue.expect("price-changed", channel)
                blue.expect("price-settled", channel)
            if kind != "news":
                sender.trigger(channel, "client-hello")
                blue.expect("client-hello", channel)
            red.settle()
            red_heard = red.heard(channel)
            self.assertEqual(red_heard, [])

    def test_rosters(self) -> None:
        """Apps: rosters and counts are those of the app alone."""
        channel = fresh("presence-room")
        blue, red, other = [self.connected(name, **app.credentials) for name, app in APPS]
        for client, count in ((blue, 1), (red, 1), (other, 2)):
            self.assertEqual(client.subscribe(channel)["count"], count)
        blue.expect(ADDED, channel)
        red.settle()
        self.assertEqual(red.seen(ADDED), [])
        for app, users in ((BLUE, ["ann", "cid"]), (RED, ["bob"])):
            for sdk in self.sdks(app):
                self.assertEqual(sorted(user["id"] for user in sdk.users(channel)["users"]), users)
                counted = sdk.channel(channel, ["subscription_count"])
                self.assertEqual(counted, {"occupied": True, "subscription_count": len(users)})

    def test_cache(self) -> None:
        """Apps: what a cache channel remembers is the app's own."""
        channel, red = fresh("cache-news"), self.connected(**RED.credentials)
        for sdk in self.sdks(BLUE):
            sdk.trigger([channel], "price-changed", {})
        red.subscribe(channel)
        red.expect(MISSED, channel)
        for sdk in self.sdks(RED):
            self.assertIsNone(sdk.channel(channel, ["cache"])["cache"])

    def test_users(self) -> None:
        """Apps: a user is another in another app: his messages, his watchers, and being terminated."""
        ann = fresh("ann")
        watcher = self.signed_in(fresh("watcher"), [ann], **RED.credentials)
        self.assertEqual(watcher.expect("offline", scope="watchlist").data["user_ids"], [ann])
        blue = self.signed_in(ann, **BLUE.credentials)
        watcher.settle()
        self.assertEqual(watcher.seen(None, scope="watchlist"), [])
        red = self.signed_in(ann, **RED.credentials)
        watcher.expect("online", scope="watchlist")
        for sdk in self.sdks(BLUE):
            sdk.send_to_user(ann, "mail", {})
            blue.expect("mail", scope="user")
        for sdk in self.sdks(BLUE):
            sdk.terminate(ann)
        blue.expect("disconnected")
        red.settle()
        self.assertEqual(red.seen("mail"), [])

    def test_credentials(self) -> None:
        """Apps: what one app has signed is worth nothing on a connection to another, in channels and sign-ins."""
        for mixed in ({**BLUE.credentials, "key": RED.key}, {**BLUE.credentials, "auth_key": RED.key, "key": RED.key}):
            client = self.client(signs_in_as={"id": fresh("ann")}, **mixed)
            client.do("subscribe", channel=fresh("private-room"))
            client.expect_error()
            client.do("signin")
            client.expect_error()
            client.settle()
            self.assertEqual(client.seen(SIGNED_IN), [])

    def test_paths(self) -> None:
        """Apps: a key goes with the id of its app in REST paths; with that of another it is a 404."""
        sdk = PythonSdk(self.server, key=BLUE.key, secret=BLUE.secret, app_id=RED.id)
        self.assertEqual(self.assertRaises(Refused, sdk.trigger, ["news"], "price-changed", {}).status, 404)

    def test_webhooks(self) -> None:
        """Apps: an app's webhooks tell of its own channels alone, signed with its own secret."""
        channel = fresh("news")
        blue = self.connected(**BLUE.credentials)
        blue.subscribe(channel)
        hook = self.receiver.expect("/blue", channel=channel)
        for sdk in self.sdks(BLUE):
            self.assertIsNotNone(sdk.validate(hook.headers, hook.body))
        marker = fresh("news")
        red = self.connected(**RED.credentials)
        red.subscribe(marker)
        self.receiver.expect("/red", channel=marker)
        self.assertEqual(self.receiver.seen("/red", channel=channel), [])


class AuthorizedConnections(TenantTestCase):
    """An app that wants its clients to prove themselves."""

    def test_deadline(self) -> None:
        """Authorized connections: who has neither signed in nor joined a channel with authorisation is closed by 4009.

        Those who have done either in time stay: their time was over before that of the one who had to go.
        """
        signed_in = self.client(signs_in_as={"id": fresh("ann")}, at_once=True, **STRICT.credentials)
        members = [self.client({"user_id": "bob"}, **STRICT.credentials) for _ in range(3)]
        for member, kind in zip(members, ("private-room", "presence-room", "private-encrypted-room"), strict=True):
            member.do("subscribe", channel=fresh(kind))
        for client in (signed_in, *members):
            client.expect("connected")
        stranger = self.connected(**STRICT.credentials)
        stranger.subscribe(fresh("news"))
        self.assertEqual(stranger.expect_error()["code"], 4009)
        stranger.expect("disconnected")
        self.assertEqual(stranger.state, "disconnected")
        for client in (signed_in, *members):
            client.settle()
            self.assertEqual(client.seen("disconnected"), [])


APPS = (("ann", BLUE), ("bob", RED), ("cid", BLUE))
"""Who connects to which."""
