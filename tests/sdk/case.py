"""What tests with official clients share: a running server, a Node process, and clients with names of their own.

Both are started by the first test that needs them and end with the run. (`setUpClass` would be the usual way to share
them; trial does not know it.) Tests keep out of each other's way by fresh names of channels and clients.
"""

from __future__ import annotations

import atexit
import base64
import functools
import itertools
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.sdk.driver import Driver, Event
from tests.server import KEY, SECRET, Server

SUBSCRIBED = "pusher:subscription_succeeded"
REFUSED = "pusher:subscription_error"
ADDED = "pusher:member_added"
REMOVED = "pusher:member_removed"
MISSED = "pusher:cache_miss"
COUNTED = "pusher:subscription_count"
SIGNED_IN = "pusher:signin_success"

INBOX = "#server-to-user-"
"""Begins the name of the channel that is a user's own."""

MASTER_KEY = base64.b64encode(b"a key that has thirty-two bytes.").decode()
"""Of encrypted channels; the app and its users know it, the server does not."""

until_exit = ExitStack()
"""What ends with the run."""
atexit.register(until_exit.close)
_numbers = itertools.count(1)


@functools.cache
def running_server(*options: str, one_port: bool = False) -> Server:
    """Give a server that runs until the tests are over."""
    return until_exit.enter_context(Server(*options, one_port=one_port))


@functools.cache
def running_driver(ca: Path | None = None) -> Driver:
    """Give a driver that runs until the tests are over."""
    return until_exit.enter_context(Driver(ca))


def fresh(name: str) -> str:
    """Give a name that no other test uses."""
    return f"{name}-{next(_numbers)}"


def in_the_clear(port: int) -> dict[str, Any]:
    """Tell pusher-js where the server is."""
    return {"wsHost": "127.0.0.1", "wsPort": port, "forceTLS": False, "enabledTransports": ["ws"]}


def over_tls(port: int) -> dict[str, Any]:
    """Tell pusher-js where the server is, by the name that is in its certificate."""
    return {"wsHost": "localhost", "wssPort": port, "forceTLS": True, "enabledTransports": ["ws", "wss"]}


class JsClient:
    """A pusher-js client that connects at once."""

    def __init__(
        self,
        driver: Driver,
        server: Server,
        user: dict[str, Any] | None = None,
        *,
        library: str = "pusher-js",
        key: str = KEY,
        secret: str = SECRET,
        auth_key: str = KEY,
        where: Callable[[int], dict[str, Any]] = in_the_clear,
        signs_in_as: dict[str, Any] | None = None,
        at_once: bool = False,
        **options: Any,
    ) -> None:
        """Connect.

        :param user: who he is on presence channels: `user_id` and, maybe, `user_info`. Without it the app's tokens
            for such channels hold no `channel_data`.
        :param secret: what his subscriptions are signed with.
        :param auth_key: which key their tokens name.
        :param where: makes the options that lead to a port.
        :param signs_in_as: who he is when he signs in: `id` and, maybe, `user_info` and `watchlist`.
        :param at_once: whether he signs in without being told to, before there is a connection.
        :param options: others of the constructor of the library.
        """
        self.name = fresh("client")
        self._driver = driver
        self._left = False
        driver.call(
            "connect",
            client=self.name,
            library=library,
            key=key,
            options=where(server.websocket_port) | options,
            auth={
                "key": auth_key,
                "secret": secret,
                "encryptionMasterKeyBase64": MASTER_KEY,
                "presence": user,
                "user": signs_in_as,
            },
            signin=at_once,
        )

    def do(self, what: str, **arguments: Any) -> Any:
        """Carry out a command of the driver."""
        return self._driver.call(what, client=self.name, **arguments)

    def disconnect(self) -> None:
        """Leave for good; once is enough."""
        if not self._left:
            self._left = True
            self.do("disconnect")

    def expect(self, event: str, channel: str | None = None, **what: Any) -> Event:
        """Claim the first event that matches; see `Driver.expect`."""
        return self._driver.expect(self.name, event, channel, **what)

    def seen(self, event: str | None, channel: str | None = None, **what: Any) -> list[Event]:
        """List the events that match and were not claimed."""
        return self._driver.seen(self.name, event, channel, **what)

    def heard(self, channel: str) -> list[tuple[str, Any]]:
        """List all events of a channel that were not claimed, in the order they came."""
        return [(seen.event, seen.data) for seen in self.seen(None, channel, scope="channel")]

    @property
    def socket_id(self) -> str:
        """Tell the id that the server gave the connection."""
        socket_id: str = self.do("state")["socket_id"]
        return socket_id

    @property
    def state(self) -> str:
        """Tell the state of the connection, such as ``connected``."""
        state: str = self.do("state")["state"]
        return state

    @property
    def user_id(self) -> str | None:
        """Tell who the library says is signed in."""
        user_id: str | None = self.do("state").get("user_id")
        return user_id

    def sign_in(self) -> None:
        """Sign in."""
        self.do("signin")
        self.expect_signed_in()

    def expect_signed_in(self) -> None:
        """Wait until he is signed in, and on his inbox."""
        user = json.loads(self.expect(SIGNED_IN).data["user_data"])
        self.expect(SUBSCRIBED, INBOX + user["id"])

    def subscribe(self, channel: str) -> Any:
        """Subscribe, and wait until that has succeeded; give the members of a presence channel."""
        self.do("subscribe", channel=channel)
        return self.expect(SUBSCRIBED, channel).data

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe."""
        self.do("unsubscribe", channel=channel)

    def trigger(self, channel: str, event: str, data: Any = None, times: int = 1) -> None:
        """Send a client event, or many."""
        self.do("trigger", channel=channel, event=event, data=data, times=times)

    def send(self, event: str, data: Any, channel: str | None = None) -> None:
        """Send any message, past the rules of the library."""
        self.do("send", event=event, data=data, channel=channel)

    def members(self, channel: str) -> Any:
        """Tell who is present: `count`, `info` by user id, and `me`."""
        return self.do("members", channel=channel)

    def settle(self) -> None:
        """Wait until the server has dealt with all that this client sent, and the client with the answers.

        A client event that is refused is answered like any message, in order.
        """
        marker = fresh("client-marker")
        self.send(marker, {}, "private-never-subscribed")
        self.expect_error(lambda error: "private-never-subscribed" in error["message"])
        assert self.state == "connected"

    def expect_error(self, where: Callable[[Any], bool] = lambda error: True) -> Any:
        """Claim something that the server complained of, and give its `code` and `message`."""
        seen = self.expect(
            "error", scope="connection", where=lambda data: _complaint(data) is not None and where(_complaint(data))
        )
        return _complaint(seen.data)


def _complaint(error: Any) -> Any:
    """Take the code and message out of an `error` event; while connecting, pusher-js wraps them twice."""
    return error.get("error", error).get("data")


class ClientTestCase(SynchronousTestCase):
    """Tests with clients on a server. A traceback in the server's log fails them, and so does one in the driver."""

    where = staticmethod(in_the_clear)

    def setUp(self) -> None:
        """Find a server and a driver."""
        self.use_server(running_server())
        self.use_driver(running_driver())

    def use_server(self, server: Server) -> None:
        """Let clients connect to this server."""
        self.server = server
        logged = len(server.log)
        self.addCleanup(lambda: self.assertNotIn("Traceback", server.log[logged:]))

    def use_driver(self, driver: Driver) -> None:
        """Let clients live in this driver."""
        self.driver = driver
        self.addCleanup(driver.forget)
        self.addCleanup(lambda: self.assertEqual(driver.seen(None, "uncaughtException"), []))

    def client(self, user: dict[str, Any] | None = None, **options: Any) -> JsClient:
        """Make a pusher-js client, not yet connected; see `JsClient`. It leaves when the test is over."""
        client = JsClient(self.driver, self.server, user, **{"where": self.where} | options)
        self.addCleanup(client.disconnect)
        return client

    def connected(self, user_id: str | int | None = None, **options: Any) -> JsClient:
        """Make a client that is connected, for a user if it is to join presence channels."""
        user = None if user_id is None else {"user_id": user_id, "user_info": {"name": f"User {user_id}"}}
        client = self.client(user, **options)
        client.expect("connected")
        return client

    def signed_in(self, user_id: str, watchlist: Sequence[str] = (), **options: Any) -> JsClient:
        """Make a client that is connected and signed in."""
        user = {"id": user_id, "user_info": {"name": f"User {user_id}"}}
        client = self.client(signs_in_as=user | ({"watchlist": watchlist} if watchlist else {}), **options)
        client.sign_in()
        return client
