"""Laravel Echo, over pusher-js, against a real server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.sdk.case import ClientTestCase, JsClient, fresh
from tests.sdk.sdks import PythonSdk


class EchoClient:
    """A connected Echo; channels are named without their prefix."""

    def __init__(self, client: JsClient) -> None:
        client.expect("connected")
        self._client = client
        self.socket_id = client.socket_id
        self.settle = client.settle
        self.seen = client.seen

    def listen(self, kind: str, channel: str, events: Sequence[str] = (), whispers: Sequence[str] = ()) -> None:
        """Subscribe, and wait until that has succeeded.

        :param kind: the method of Echo: `channel`, `private`, `encryptedPrivate` or `join`.
        """
        self._client.do("listen", kind=kind, channel=channel, events=events, whispers=whispers)
        self.expect("subscribed")

    def whisper(self, kind: str, channel: str, event: str, data: Any) -> None:
        """Send a client event."""
        self._client.do("whisper", kind=kind, channel=channel, event=event, data=data)

    def leave(self, channel: str) -> None:
        """Leave a channel."""
        self._client.do("leave", channel=channel)

    def expect(self, event: str) -> Any:
        """Claim what a callback was told."""
        return self._client.expect(event, scope="echo").data


class Echo(ClientTestCase):
    """What Echo adds to pusher-js."""

    def setUp(self) -> None:
        """Find a Laravel back end; its broadcaster calls the REST API as any server SDK does."""
        super().setUp()
        self.laravel = PythonSdk(self.server)

    def echo(self, user_id: str = "1", **options: Any) -> EchoClient:
        """Make a connected Echo."""
        user = {"user_id": user_id, "user_info": {"name": f"User {user_id}"}}
        return EchoClient(self.client(user, library="echo", **options))

    def test_channel(self) -> None:
        """Event: Echo hears an event on a public channel, named like the class with its backslashes."""
        echo, channel = self.echo(), fresh("orders")
        echo.listen("channel", channel, ["OrderShipped"])
        self.laravel.trigger([channel], r"App\Events\OrderShipped", {"id": 7})
        self.assertEqual(echo.expect("OrderShipped"), {"id": 7})

    def test_reverb(self) -> None:
        """Connection: an Echo that was set up for Reverb is served as it is."""
        echo, channel = self.echo(broadcaster="reverb"), fresh("orders")
        echo.listen("private", channel, ["OrderShipped"])
        self.laravel.trigger([f"private-{channel}"], r"App\Events\OrderShipped", {"id": 8})
        self.assertEqual(echo.expect("OrderShipped"), {"id": 8})

    def test_private(self) -> None:
        """Event: Echo hears an event on a private channel, and one with a name of its own (`broadcastAs`)."""
        echo, channel = self.echo(), fresh("orders.1")
        echo.listen("private", channel, ["OrderShipped", ".order.paid"])
        self.laravel.trigger([f"private-{channel}"], r"App\Events\OrderShipped", {"id": 7})
        self.laravel.trigger([f"private-{channel}"], "order.paid", {"id": 8})
        self.assertEqual(echo.expect("OrderShipped"), {"id": 7})
        self.assertEqual(echo.expect(".order.paid"), {"id": 8})

    def test_encrypted_private(self) -> None:
        """Encrypted channels: Echo reads an event that the back end encrypted."""
        echo, channel = self.echo(), fresh("orders")
        echo.listen("encryptedPrivate", channel, ["OrderShipped"])
        self.laravel.trigger([f"private-encrypted-{channel}"], r"App\Events\OrderShipped", {"id": 7})
        self.assertEqual(echo.expect("OrderShipped"), {"id": 7})

    def test_to_others(self) -> None:
        """Excluding recipients: `toOthers` leaves out the connection whose id Echo sent as `X-Socket-ID`."""
        echo, other, channel = self.echo(), self.echo(), fresh("orders")
        for each in (echo, other):
            each.listen("private", channel, [".paid", ".seen-by-all"])
        self.laravel.trigger([f"private-{channel}"], "paid", {}, echo.socket_id)
        self.laravel.trigger([f"private-{channel}"], "seen-by-all", {})
        other.expect(".paid")
        echo.expect(".seen-by-all")
        self.assertEqual(echo.seen(".paid"), [])

    def test_join(self) -> None:
        """Presence: Echo is told who is here, who is joining and who is leaving."""
        ann, bob, room = self.echo("ann"), self.echo("bob"), fresh("room")
        ann.listen("join", room)
        self.assertEqual(ann.expect("here"), [{"name": "User ann"}])
        bob.listen("join", room)
        self.assertEqual(bob.expect("here"), [{"name": "User ann"}, {"name": "User bob"}])
        self.assertEqual(ann.expect("joining"), {"name": "User bob"})
        bob.leave(room)
        self.assertEqual(ann.expect("leaving"), {"name": "User bob"})

    def test_whisper(self) -> None:
        """Client events: a whisper reaches the others on private and presence channels, but not who whispered."""
        ann, bob, room = self.echo("ann"), self.echo("bob"), fresh("room")
        for kind in ("private", "join"):
            for each in (ann, bob):
                each.listen(kind, room, whispers=["typing"])
            ann.whisper(kind, room, "typing", {"kind": kind})
            self.assertEqual(bob.expect("typing"), {"kind": kind})
        ann.settle()
        self.assertEqual(ann.seen("typing"), [])

    def test_refused(self) -> None:
        """Failure of a subscription: the `error` callback of Echo hears why a subscription was refused."""
        client = self.client(library="echo", secret="00000000000000000000")
        client.do("listen", kind="private", channel=fresh("room"))
        error = client.expect("error", scope="echo").data
        self.assertEqual((error["type"], error["status"]), ("AuthError", 401))
