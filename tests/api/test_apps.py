"""Several apps behind one API."""

from __future__ import annotations

import json
from typing import Any

from slanger.domain.apps import App
from tests.api.requests import ApiTestCase, Listener, Response, request_bytes, signed_target
from tests.builders import Client, make_user

SHOP = App(id="1", key="shop-key", secret="shop-secret")
CHAT = App(id="2", key="chat-key", secret="chat-secret")


class AppsTests(ApiTestCase):
    """Two apps, each with the same channels."""

    def setUp(self) -> None:
        """Put a subscriber of each app on channels of the same names."""
        super().setUp()
        self.serve(SHOP, CHAT)
        self.listeners: dict[str, Listener] = {}
        for app, socket_id in ((SHOP, "1.1"), (CHAT, "1.2")):
            self.listeners[app.key] = self.listen("news", socket_id, app=app)
            self.listen("presence-room", socket_id, f"user of {app.key}", app=app)
        self.clear()

    def clear(self) -> None:
        """Forget what was heard."""
        for listener in self.listeners.values():
            listener.received.clear()

    def call(self, method: str, path: str, body: Any = None, *, key: str, secret: str, **query: str) -> Response:
        """Send a request with these credentials."""
        content = b"" if body is None else json.dumps(body).encode()
        target = signed_target(method, path, tuple(query.items()), content, key=key, secret=secret)
        return self.ask(request_bytes(method, target, content))

    def by(self, app: App, method: str, rest: str, body: Any = None, **query: str) -> Response:
        """Send a request of an app to itself."""
        return self.call(method, f"/apps/{app.id}/{rest}", body, key=app.key, secret=app.secret, **query)

    def test_events(self) -> None:
        """Apps: an event is heard by subscribers of its own app alone, on a channel of the same name."""
        for app, other in ((SHOP, CHAT), (CHAT, SHOP)):
            event = {"name": "price", "channel": "news", "data": "1"}
            self.assert_answered(self.by(app, "POST", "events", event), {})
            self.assert_answered(self.by(app, "POST", "batch_events", {"batch": [event]}), {})
            self.assertEqual(len(self.listeners[app.key].received), 2)
            self.assertEqual(self.listeners[other.key].received, [])
            self.clear()

    def test_counts(self) -> None:
        """Apps: counts are each app's own."""
        self.listen("news", "9.9", app=SHOP)
        for app, count in ((SHOP, 2), (CHAT, 1)):
            response = self.by(app, "GET", "channels/news", info="subscription_count")
            self.assert_answered(response, {"occupied": True, "subscription_count": count})

    def test_queries(self) -> None:
        """Apps: channels and users are each app's own."""
        self.listen("only-shop", "9.9", app=SHOP)
        self.assert_answered(
            self.by(SHOP, "GET", "channels"), {"channels": {"news": {}, "presence-room": {}, "only-shop": {}}}
        )
        self.assert_answered(self.by(CHAT, "GET", "channels"), {"channels": {"news": {}, "presence-room": {}}})
        self.assert_answered(self.by(CHAT, "GET", "channels/only-shop"), {"occupied": False})
        for app in (SHOP, CHAT):
            users = self.by(app, "GET", "channels/presence-room/users")
            self.assert_answered(users, {"users": [{"id": f"user of {app.key}"}]})

    def test_cache(self) -> None:
        """Apps: what a cache channel remembers is each app's own."""
        event = {"name": "price", "channel": "cache-stock", "data": "1"}
        self.assert_answered(self.by(SHOP, "POST", "events", event), {})
        for app, data in ((SHOP, "1"), (CHAT, None)):
            cache = self.by(app, "GET", "channels/cache-stock", info="cache").json["cache"]
            self.assertEqual(cache and cache["data"], data)

    def test_terminate(self) -> None:
        """Apps: a user of one app is not the user of the same id of another; the key tells where the path does not."""
        for path in ("/apps/2/users/7/terminate_connections", "/users/7/terminate_connections"):
            listeners = [Listener(app, f"{number}.1") for number, app in enumerate((SHOP, CHAT))]
            for listener in listeners:
                self.node.users.sign_in(listener, make_user("7"))
            self.assert_answered(self.call("POST", path, {}, key=CHAT.key, secret=CHAT.secret), {})
            self.assertEqual([listener.closes for listener in listeners], [[], [4009]])
            for listener in listeners:
                self.node.users.sign_out(listener, make_user("7"))

    def test_crossed_ids(self) -> None:
        """App ids: the id of one app with key and secret of another is a 404, as if there were none."""
        for path in ("channels", "channels/news", "channels/presence-room/users"):
            response = self.call("GET", f"/apps/2/{path}", key=SHOP.key, secret=SHOP.secret)
            self.assert_refused(response, 404, "404 NOT FOUND")
        for path, body in self.posts():
            response = self.call("POST", f"/apps/2/{path}", body, key=SHOP.key, secret=SHOP.secret)
            self.assert_refused(response, 404, "404 NOT FOUND")
        self.assert_nothing_happened()

    def test_unknown_ids(self) -> None:
        """App ids: the id of no app is a 404."""
        for path, body in self.posts():
            response = self.call("POST", f"/apps/3/{path}", body, key=SHOP.key, secret=SHOP.secret)
            self.assert_refused(response, 404, "404 NOT FOUND")

    def test_crossed_secrets(self) -> None:
        """Authentication: the key of one app with the secret of another is a 401."""
        for path, body in self.posts():
            response = self.call("POST", f"/apps/1/{path}", body, key=SHOP.key, secret=CHAT.secret)
            self.assert_refused(response, 401)
            self.assertTrue(response.text.startswith("Invalid signature"))
            self.assertNotIn(SHOP.secret, response.text)
        path = "/users/7/terminate_connections"
        self.assert_refused(self.call("POST", path, {}, key=CHAT.key, secret=SHOP.secret), 401)
        self.assert_nothing_happened()

    def test_unknown_keys(self) -> None:
        """Authentication: a key of no app is a 400, whatever the id."""
        for path, body in self.posts():
            response = self.call("POST", f"/apps/1/{path}", body, key="nosuchkey", secret=SHOP.secret)
            self.assert_refused(response, 400, "Unknown auth_key")
        response = self.call("POST", "/users/7/terminate_connections", {}, key="nosuchkey", secret=SHOP.secret)
        self.assert_refused(response, 400, "Unknown auth_key")

    def test_clients(self) -> None:
        """Apps: a client of one app cannot subscribe with a signature made for the other."""
        client = Client(self.node, SHOP.key)
        client.subscribe("private-chat")
        self.assertNotIn("pusher_internal:subscription_succeeded", client.events())

    def posts(self) -> tuple[tuple[str, Any], ...]:
        """Give every POST that changes something."""
        event = {"name": "price", "channel": "news", "data": "1"}
        return ("events", event), ("batch_events", {"batch": [event]}), ("users/7/terminate_connections", {})

    def assert_nothing_happened(self) -> None:
        """Check that nobody heard anything."""
        self.assertEqual([listener.received for listener in self.listeners.values()], [[], []])
        self.assertEqual([listener.closes for listener in self.listeners.values()], [[], []])
