"""Pysher, the Python client, against a real server."""

from __future__ import annotations

import logging
from queue import SimpleQueue
from typing import Any

import pysher  # type: ignore[import-untyped]

from tests.sdk.case import ClientTestCase, fresh
from tests.sdk.sdks import PythonSdk
from tests.server import KEY, PATIENCE, SECRET, Server, wait_for

SUCCEEDED = "pusher_internal:subscription_succeeded"


class PysherClient:
    """A Pysher client, and what it sees."""

    def __init__(
        self, server: Server, user_id: str = "1", *, key: str = KEY, secret: str = SECRET, **options: Any
    ) -> None:
        settings = {"secure": False, "custom_host": "127.0.0.1", "port": server.websocket_port}
        user = {"user_id": user_id, "user_info": {"name": f"User {user_id}"}}
        self.pusher = pysher.Pusher(
            key, secret=secret, user_data=user, log_level=logging.CRITICAL, **settings | options
        )
        self.connection = self.pusher.connection
        self.errors: SimpleQueue[Any] = SimpleQueue()
        self._seen: SimpleQueue[tuple[str, str, Any]] = SimpleQueue()
        self._established: SimpleQueue[Any] = SimpleQueue()
        # subscribe() sends before there is a channel to bind to: what comes at once is seen here alone
        self._handle = self.connection.event_handler
        self.connection.event_handler = self._note
        self.connection.bind("pusher:error", self.errors.put)
        self.connection.bind("pusher:connection_established", self._established.put)
        self.pusher.connect()

    def _note(self, event: str, data: Any, channel: str) -> None:
        self._seen.put((event, channel, data))
        self._handle(event, data, channel)

    def established(self) -> PysherClient:
        """Wait for the connection to stand."""
        self._established.get(timeout=PATIENCE)
        return self

    def leave(self) -> None:
        """Disconnect. Its thread does not always notice, and is not waited for."""
        self.pusher.disconnect(0)

    def next(self) -> tuple[str, str, Any]:
        """Give the next event, its channel and its data, which Pysher leaves encoded."""
        return self._seen.get(timeout=PATIENCE)

    def subscribe(self, channel: str, auth: str | None = None) -> Any:
        """Subscribe, and wait until that has succeeded; give the channel."""
        subscribed = self.pusher.subscribe(channel, auth)
        event, name, _ = self.next()
        assert (event, name) == (SUCCEEDED, channel), event
        return subscribed


class Pysher(ClientTestCase):
    """What Pysher does; it speaks protocol 6."""

    def pysher(self, *arguments: Any, **options: Any) -> PysherClient:
        """Make a client. It leaves when the test is over."""
        client = PysherClient(self.server, *arguments, **options)
        self.addCleanup(client.leave)
        return client

    def test_public(self) -> None:
        """Subscription succeeded: Pysher subscribes to a public channel and hears an event of the REST API."""
        client, channel = self.pysher().established(), fresh("news")
        client.subscribe(channel)
        PythonSdk(self.server).trigger([channel], "price-changed", {"eur": 12.5})
        self.assertEqual(client.next(), ("price-changed", channel, '{"eur": 12.5}'))

    def test_private(self) -> None:
        """Authentication tokens: Pysher signs by itself, or is given a token of the app's server."""
        client = self.pysher().established()
        client.subscribe(fresh("private-room"))
        given = self.pysher(secret="").established()
        channel = fresh("private-room")
        token = PythonSdk(self.server).authorize(given.connection.socket_id, channel)["auth"]
        given.subscribe(channel, token)

    def test_presence(self) -> None:
        """Presence: Pysher is told who is present, who comes and who goes."""
        ann, bob, channel = self.pysher("ann").established(), self.pysher("bob").established(), fresh("presence-room")
        ann.subscribe(channel)
        bob.pusher.subscribe(channel)
        event, _, roster = bob.next()
        self.assertEqual(event, SUCCEEDED)
        self.assertIn('"ids":["ann","bob"]', roster)
        added = ("pusher_internal:member_added", channel, '{"user_id":"bob","user_info":{"name": "User bob"}}')
        self.assertEqual(ann.next(), added)
        bob.pusher.unsubscribe(channel)
        self.assertEqual(ann.next(), ("pusher_internal:member_removed", channel, '{"user_id":"bob"}'))

    def test_client_events(self) -> None:
        """Client events: Pysher and pusher-js hear each other on private and presence channels."""
        for kind in ("private-room", "presence-room"):
            channel = fresh(kind)
            client, browser = self.pysher("ann").established(), self.connected("ann")
            browser.subscribe(channel)
            subscribed = client.subscribe(channel)
            subscribed.trigger("client-hello", {"from": "Pysher"})
            self.assertEqual(browser.expect("client-hello", channel).data, {"from": "Pysher"})
            browser.trigger(channel, "client-hello", {"from": "pusher-js"})
            self.assertEqual(client.next(), ("client-hello", channel, '{"from":"pusher-js"}'))

    def test_wrong_secret(self) -> None:
        """Failure of a subscription: a token made with another secret is refused, and the connection stays."""
        client, channel = self.pysher(secret="00000000000000000000").established(), fresh("private-room")
        client.pusher.subscribe(channel)
        error = client.errors.get(timeout=PATIENCE)
        self.assertIsNone(error["code"])
        self.assertIn("Invalid signature", error["message"])
        self.assertEqual(client.next()[:2], ("pusher:subscription_error", channel))
        self.assertEqual(client.next()[:2], ("pusher_internal:subscription_error", channel))
        client.subscribe(fresh("news"))

    def test_unknown_key(self) -> None:
        """Close codes: a key that no app has is told as 4001, and Pysher ends."""
        client = self.pysher(key="00000000000000000000")
        self.assertEqual(client.errors.get(timeout=PATIENCE)["code"], 4001)
        wait_for("the end of Pysher's connection", lambda: not client.connection.is_alive())
