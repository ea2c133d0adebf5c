"""Users: sending to them, sending them away, and that nobody sees their inboxes."""

from __future__ import annotations

import json
from urllib.parse import quote

from slanger.domain.apps import App
from tests.api.requests import ApiTestCase, Response, auth_parameters, request_bytes, signature
from tests.builders import Client
from tests.server import KEY, SECRET

EVENTS = "/apps/3/events"
CHANNELS = "/apps/3/channels"
IDS = ("12345", "ann", "a b", "é", "a@b.c", "a,b;c=d", "50%", "%41", "a+b", "a?b&c=d", "a:b", "#x", "日本", "a\\b")
"""User ids of every kind: slanger, as most SDKs, asks only that there is one."""


class UserTestCase(ApiTestCase):
    """Users are signed in."""

    def sign_in(self, user_id: str, key: str = KEY) -> Client:
        """Connect a client and sign it in."""
        client = Client(self.node, key)
        client.sign_in(user_id)
        self.assertEqual(client.events(), ["pusher:signin_success"])
        return client

    def terminate(self, user_id: str, signed: str | None = None, sent: str | None = None) -> Response:
        """Terminate a user's connections.

        :param signed: the path that is signed; by default the id stands in it as it is.
        :param sent: the path that goes over the wire; by default it is percent-encoded.
        """
        signed = signed or f"/apps/3/users/{user_id}/terminate_connections"
        sent = sent or f"/apps/3/users/{quote(user_id, safe='')}/terminate_connections"
        parameters = auth_parameters(b"{}")
        query = "&".join(f"{name}={value}" for name, value in parameters)
        target = f"{sent}?{query}&auth_signature={signature('POST', signed, parameters)}"
        return self.ask(request_bytes("POST", target, b"{}"))

    def assert_terminated(self, client: Client, code: int = 4009) -> None:
        """Check that a client is sent away, and told so first."""
        ((error, data),) = client.heard()
        self.assertEqual((error, data["code"]), ("pusher:error", code))
        self.assertEqual([each.number for each, _ in client.wire.closes], [code])


class TerminateTests(UserTestCase):
    """`POST users/USER/terminate_connections`."""

    def test_terminate(self) -> None:
        """Terminating user connections: all connections of the user are closed, with 4009, and nobody else's."""
        first, second, other = self.sign_in("1"), self.sign_in("1"), self.sign_in("2")
        anonymous = Client(self.node)
        self.assert_answered(self.terminate("1"), {})
        self.assert_terminated(first)
        self.assert_terminated(second)
        self.assertEqual((other.wire.closes, other.heard()), ([], []))
        self.assertEqual((anonymous.wire.closes, anonymous.heard()), ([], []))

    def test_present(self) -> None:
        """Terminating user connections: one who is only present under the id, and did not sign in, stays."""
        client = Client(self.node)
        client.subscribe("presence-room", "1")
        client.heard()
        self.assert_answered(self.terminate("1"), {})
        self.assertEqual((client.wire.closes, client.heard()), ([], []))

    def test_nobody(self) -> None:
        """Terminating user connections: that nobody is signed in under the id is no fault."""
        self.assert_answered(self.terminate("nobody"), {})

    def test_may_return(self) -> None:
        """Terminating user connections: the user may come back."""
        self.sign_in("1").go(4009)
        self.assert_answered(self.terminate("1"), {})
        self.assertEqual(self.sign_in("1").wire.closes, [])

    def test_code(self) -> None:
        """Terminating user connections: the close code is the app's choice."""
        self.serve(App(key=KEY, secret=SECRET, termination_code=4200))
        client = self.sign_in("1")
        self.assert_answered(self.terminate("1"), {})
        self.assert_terminated(client, 4200)

    def test_ids(self) -> None:
        """Terminating user connections: the id may hold any characters; the path is signed as it is or encoded."""
        for user_id in IDS:
            encoded = f"/apps/3/users/{quote(user_id, safe='')}/terminate_connections"
            for signed in (None, encoded):
                client = self.sign_in(user_id)
                self.assert_answered(self.terminate(user_id, signed), {})
                self.assert_terminated(client)
                client.go()

    def test_slash(self) -> None:
        """Terminating user connections: an encoded slash belongs to the id."""
        client = self.sign_in("a/b")
        self.assert_answered(self.terminate("a/b"), {})
        self.assert_terminated(client)

    def test_raw_ids(self) -> None:
        """Terminating user connections: what may stand in a path as it is need not be encoded."""
        for user_id in ("12345", "a@b.c", "a,b;c=d", "a+b", "a:b"):
            client = self.sign_in(user_id)
            path = f"/apps/3/users/{user_id}/terminate_connections"
            self.assert_answered(self.terminate(user_id, path, path), {})
            self.assert_terminated(client)
            client.go()

    def test_python(self) -> None:
        """Terminating user connections: Python's SDK leaves the app out of the path, and signs that."""
        for user_id in ("1", "a@b.c"):
            client = self.sign_in(user_id)
            path = f"/users/{user_id}/terminate_connections"
            self.assert_answered(self.terminate(user_id, path, quote(path)), {})
            self.assert_terminated(client)
            client.go()

    def test_python_refused(self) -> None:
        """Terminating user connections: the path without the app must be signed like any other, for itself."""
        client = self.sign_in("1")
        short, full = "/users/1/terminate_connections", "/apps/3/users/1/terminate_connections"
        self.assert_refused(self.ask(request_bytes("POST", short)), 401, "Missing parameter: auth_key")
        self.assert_refused(self.terminate("1", full, short), 401)
        self.assert_refused(self.terminate("1", short, full), 401)
        self.assertEqual(client.wire.closes, [])


class InboxTests(UserTestCase):
    """`#server-to-user-` channels over REST."""

    def inbox(self, user_id: str) -> Client:
        """Sign a client in, and put it on its inbox."""
        client = self.sign_in(user_id)
        name = f"#server-to-user-{user_id}"
        client.receive(json.dumps({"event": "pusher:subscribe", "data": {"auth": "", "channel": name}}).encode())
        self.assertEqual(client.events(), ["pusher_internal:subscription_succeeded"])
        return client

    def test_trigger(self) -> None:
        """Inbox channels: an event for a user reaches all his connections, and nobody else."""
        first, second, other = self.inbox("7"), self.inbox("7"), self.inbox("8")
        body = {"name": "mail", "channels": ["#server-to-user-7"], "data": "1"}
        self.assert_answered(self.post(EVENTS, body), {})
        expected = {"event": "mail", "channel": "#server-to-user-7", "data": "1"}
        self.assertEqual([first.wire.said, second.wire.said, other.wire.said], [[expected], [expected], []])

    def test_ids(self) -> None:
        """Inbox channels: the user's id may hold any characters, in the body as they are."""
        for user_id in (*IDS, "a/b"):
            client = self.inbox(user_id)
            name = f"#server-to-user-{user_id}"
            self.assert_answered(self.post(EVENTS, {"name": "mail", "channels": [name], "data": "1"}), {})
            self.assertEqual(client.wire.said, [{"event": "mail", "channel": name, "data": "1"}])

    def test_path(self) -> None:
        """Trigger, 2011: an inbox in the path is percent-encoded, whatever its user's id."""
        for user_id in IDS:
            client = self.inbox(user_id)
            name = f"#server-to-user-{user_id}"
            self.assert_answered(self.post(f"{CHANNELS}/{name}/events", b"1", ("name", "mail")), {})
            self.assertEqual(client.wire.said, [{"event": "mail", "channel": name, "data": "1"}])

    def test_nobody(self) -> None:
        """Inbox channels: an inbox without an id is no channel."""
        body = {"name": "mail", "channels": ["#server-to-user-"], "data": "1"}
        self.assert_refused(self.post(EVENTS, body), 400)

    def test_hidden(self) -> None:
        """Inbox channels: they are in no list, whatever the filter."""
        self.inbox("7").subscribe("news")
        self.assert_answered(self.get(CHANNELS), {"channels": {"news": {}}})
        for prefix in ("#", "#server-to-user-", "#server-to-user-7"):
            self.assert_answered(self.get(CHANNELS, ("filter_by_prefix", prefix)), {"channels": {}})

    def test_no_roster(self) -> None:
        """Users: an inbox is no presence channel."""
        self.inbox("7")
        self.assert_refused(self.get(f"{CHANNELS}/#server-to-user-7/users"), 400)
        self.assert_refused(self.get(f"{CHANNELS}/#server-to-user-7", ("info", "user_count")), 400)
