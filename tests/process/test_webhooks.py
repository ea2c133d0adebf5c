"""Webhooks from a real server to a real receiver."""

from __future__ import annotations

import hashlib
import hmac
import json

from websockets.sync.client import ClientConnection, connect

from tests.process.receiver import Receiver, Told
from tests.process.running import Foreground, ProcessTestCase, read
from tests.server import KEY, PATIENCE, SECRET, free_port, wait_for


def endpoint(url: str, *kinds: str) -> str:
    """Write the table of an endpoint."""
    events = f"events = {json.dumps(kinds)}\n" if kinds else ""
    return f'[[apps.webhooks]]\nurl = "{url}"\n{events}'


def fails(told: list[Told]) -> bool:
    """Whether the last request is to fail: the first three of each body that tells of channel `one`."""
    last = told[-1]
    return last.events[0]["channel"] == "one" and [each.body for each in told].count(last.body) < 4


class WebhookTests(ProcessTestCase):
    """An app is told."""

    def serve(self, *endpoints: str) -> None:
        """Start a server with one app and these endpoints."""
        self.port, api = free_port(), free_port()
        config = f'[[apps]]\nkey = "{KEY}"\nsecret = "{SECRET}"\n' + "".join(endpoints)
        options = (f"--websocket-host=127.0.0.1:{self.port}", f"--api-host=127.0.0.1:{api}")
        self.server = self.enterContext(Foreground(*options, config=config))

    def receiver(self, receiver: Receiver) -> Receiver:
        """Start a receiver."""
        return self.enterContext(receiver)

    def join(self, user_id: str, channel: str = "presence-room") -> ClientConnection:
        """Connect a user, and put him on a presence channel."""
        client = self.enterContext(
            connect(f"ws://127.0.0.1:{self.port}/app/{KEY}?protocol=7", proxy=None, open_timeout=PATIENCE)
        )
        socket_id = json.loads(read(client)["data"])["socket_id"]
        channel_data = json.dumps({"user_id": user_id})
        signed = f"{socket_id}:{channel}:{channel_data}".encode()
        auth = f"{KEY}:{hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"
        data = {"channel": channel, "auth": auth, "channel_data": channel_data}
        client.send(json.dumps({"event": "pusher:subscribe", "data": data}))
        self.assertEqual(read(client)["event"], "pusher_internal:subscription_succeeded")
        return client

    def test_failing(self) -> None:
        """Webhooks: a receiver that answers 500 three times gets the same request on the fourth try.

        Another that answers with a redirect is asked again, and where the redirect leads is not. Another that never
        answers, and these two, hold up neither each other nor the one that takes everything.
        """
        receiver = self.receiver(
            Receiver(
                failing=lambda told: 500 if fails(told) else 200,
                redirecting=lambda told: (301, 303, 307)[len(told) % 3],
                silent=lambda told: 0,
            )
        )
        urls = [receiver.url(path) for path in ("silent", "failing", "redirecting", "good")]
        self.serve(*(endpoint(url, "channel_occupied") for url in urls))
        client = self.connect(self.port)
        self.subscribe(client, "one")
        wait_for("the first try", lambda: all(receiver.told(path) for path in ("silent", "failing", "good")))
        for channel in ("two", "three"):
            self.subscribe(client, channel)
        occupied = [{"name": "channel_occupied", "channel": channel} for channel in ("one", "two", "three")]
        wait_for("the good endpoint's events", lambda: len(receiver.told("good")) == 3)
        self.assertEqual(receiver.events("good"), occupied)
        self.assertEqual(receiver.events("silent"), occupied[:1])
        self.assertEqual({len(told.events) for told in receiver.told("good")}, {1})
        wait_for("the fourth try", lambda: self.tries(receiver, "failing", "one") >= 4)
        wait_for("the others", lambda: {"two", "three"} <= {each["channel"] for each in receiver.events("failing")})
        first = [told for told in receiver.told("failing") if told.events[0]["channel"] == "one"]
        self.assertEqual(len({told.body for told in first}), 1)
        self.assertEqual(len({told.headers["x-pusher-signature"] for told in first}), 1)
        self.assertGreater(len(receiver.told("redirecting")), 1)
        self.assertEqual(receiver.told("elsewhere"), [])
        self.assertEqual(receiver.events("silent"), occupied[:1])
        self.assertEqual(len(receiver.told("good")), 3)
        self.assertNotIn("Traceback", self.server.out + self.server.err)

    def test_request(self) -> None:
        """Webhooks: a request is signed over its bytes, and has exactly the headers that SDKs look at."""
        receiver = self.receiver(Receiver())
        self.serve(endpoint(receiver.url("hooks")) + 'headers = { X-Team = "chat" }\n')
        self.join("ann")
        wait_for("two events", lambda: len(receiver.events("hooks")) == 2)
        for told in receiver.told("hooks"):
            self.assertEqual(told.headers["content-type"], "application/json")
            self.assertEqual(told.headers["x-pusher-key"], KEY)
            self.assertEqual(told.headers["x-team"], "chat")
            self.assertTrue(told.signed_with(SECRET))
            self.assertEqual(set(json.loads(told.body)), {"time_ms", "events"})
            self.assertIs(type(json.loads(told.body)["time_ms"]), int)
        names = {event["name"] for event in receiver.events("hooks")}
        self.assertEqual(names, {"channel_occupied", "member_added"})

    def test_grace(self) -> None:
        """Webhooks: a member who leaves and returns at once was never gone; of one who stays away the app is told."""
        receiver = self.receiver(Receiver())
        self.serve(endpoint(receiver.url("hooks"), "member_added", "member_removed", "channel_vacated"))
        self.join("bob")
        ann, carl = self.join("ann"), self.join("carl")
        dora = self.join("dora", "presence-other")
        wait_for("the beginnings", lambda: len(receiver.events("hooks", "member_added")) == 4)
        ann.close()
        dora.close()
        self.join("ann")
        self.join("dora", "presence-other")
        carl.close()
        wait_for("an end", lambda: receiver.events("hooks", "member_removed"))
        removed = {"name": "member_removed", "channel": "presence-room", "user_id": "carl"}
        self.assertEqual(receiver.events("hooks", "member_removed", "channel_vacated"), [removed])
        self.assertEqual(len(receiver.events("hooks", "member_added")), 4)

    def tries(self, receiver: Receiver, path: str, channel: str) -> int:
        """Count the requests to a path that told of a channel."""
        return sum(event["channel"] == channel for event in receiver.events(path))
