"""The official server SDKs, with one set of methods for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import pusher  # type: ignore[import-untyped]
import pusher.errors  # type: ignore[import-untyped]

from tests.sdk.case import MASTER_KEY
from tests.sdk.driver import Driver, DriverError
from tests.server import KEY, SECRET, Server

T = TypeVar("T")

APP_ID = "3"


class Refused(Exception):
    """The server refused a request.

    :param told: what the SDK tells its user of the answer: the body, for some after the status.
    """

    def __init__(self, status: int, told: str) -> None:
        super().__init__(f"{status}: {told}")
        self.status = status
        self.told = told


class Sdk(Protocol):
    """A server SDK. Each method raises `Refused` where the SDK reports an error of the server."""

    def trigger(self, channels: Sequence[str], event: str, data: Any, socket_id: str | None = None) -> Any:
        """Send an event."""

    def channels(self, prefix: str, attributes: Sequence[str] = ()) -> Any:
        """Ask which channels are occupied."""

    def channel(self, name: str, attributes: Sequence[str] = ()) -> Any:
        """Ask for one channel."""

    def users(self, name: str) -> Any:
        """Ask who is on a presence channel."""

    def trigger_batch(self, events: Sequence[dict[str, Any]]) -> Any:
        """Send several events, each with `channel`, `name` and `data`."""

    def send_to_user(self, user_id: str, event: str, data: Any) -> Any:
        """Send an event to a user."""

    def terminate(self, user_id: str) -> Any:
        """Close a user's connections."""

    def authorize(self, socket_id: str, channel: str, member: dict[str, Any] | None = None) -> Any:
        """Make the answer of the app's authorisation endpoint."""

    def validate(self, headers: Mapping[str, str], body: str) -> Any:
        """Give what a webhook says, or None if it is not genuine.

        :param headers: with lower-case names.
        """


class PythonSdk:
    """`pusher` for Python."""

    def __init__(
        self,
        server: Server,
        *,
        key: str = KEY,
        secret: str = SECRET,
        app_id: str = APP_ID,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        settings = {"ssl": False, "port": server.api_port, "timeout": 20, "encryption_master_key_base64": MASTER_KEY}
        self.pusher = pusher.Pusher(app_id, key, secret, host=host, **settings | options)

    def trigger(self, channels: Sequence[str], event: str, data: Any, socket_id: str | None = None) -> Any:
        """Send an event."""
        return of_python(lambda: self.pusher.trigger(channels, event, data, socket_id))

    def channels(self, prefix: str, attributes: Sequence[str] = ()) -> Any:
        """Ask which channels are occupied."""
        return of_python(lambda: self.pusher.channels_info(prefix, attributes))

    def channel(self, name: str, attributes: Sequence[str] = ()) -> Any:
        """Ask for one channel."""
        return of_python(lambda: self.pusher.channel_info(name, attributes))

    def users(self, name: str) -> Any:
        """Ask who is on a presence channel."""
        return of_python(lambda: self.pusher.users_info(name))

    def authorize(self, socket_id: str, channel: str, member: dict[str, Any] | None = None) -> Any:
        """Make the answer of the app's authorisation endpoint."""
        return self.pusher.authenticate(channel, socket_id, member)

    def trigger_batch(self, events: Sequence[dict[str, Any]]) -> Any:
        """Send several events."""
        copies = [dict(event) for event in events]  # the SDK encodes the data in place
        return of_python(lambda: self.pusher.trigger_batch(copies))

    def send_to_user(self, user_id: str, event: str, data: Any) -> Any:
        """Send an event to a user."""
        return of_python(lambda: self.pusher.send_to_user(user_id, event, data))

    def terminate(self, user_id: str) -> Any:
        """Close a user's connections."""
        return of_python(lambda: self.pusher.terminate_user_connections(user_id))

    def validate(self, headers: Mapping[str, str], body: str) -> Any:
        """Give what a webhook says, or None if it is not genuine."""
        return self.pusher.validate_webhook(headers["x-pusher-key"], headers["x-pusher-signature"], body)


class NodeSdk:
    """`pusher` for Node."""

    def __init__(
        self,
        driver: Driver,
        server: Server,
        *,
        key: str = KEY,
        secret: str = SECRET,
        app_id: str = APP_ID,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self._driver = driver
        settings = {"useTLS": False, "port": str(server.api_port), "encryptionMasterKeyBase64": MASTER_KEY}
        self._server = {"appId": app_id, "key": key, "secret": secret, "host": host, **settings | options}

    def trigger(self, channels: Sequence[str], event: str, data: Any, socket_id: str | None = None, **more: Any) -> Any:
        """Send an event.

        :param more: `info`, the attributes to be told of these channels.
        """
        return self._call("trigger", channels, event, data, ({"socket_id": socket_id} if socket_id else {}) | more)

    def channels(self, prefix: str, attributes: Sequence[str] = ()) -> Any:
        """Ask which channels are occupied."""
        return self._get("/channels", filter_by_prefix=prefix, **_info(attributes))

    def channel(self, name: str, attributes: Sequence[str] = ()) -> Any:
        """Ask for one channel."""
        return self._get(f"/channels/{name}", **_info(attributes))

    def users(self, name: str) -> Any:
        """Ask who is on a presence channel."""
        return self._get(f"/channels/{name}/users")

    def authorize(self, socket_id: str, channel: str, member: dict[str, Any] | None = None) -> Any:
        """Make the answer of the app's authorisation endpoint."""
        return self._call("authorizeChannel", socket_id, channel, *([member] if member else []))

    def trigger_batch(self, events: Sequence[dict[str, Any]]) -> Any:
        """Send several events."""
        return self._call("triggerBatch", events)

    def send_to_user(self, user_id: str, event: str, data: Any) -> Any:
        """Send an event to a user."""
        return self._call("sendToUser", user_id, event, data)

    def terminate(self, user_id: str) -> Any:
        """Close a user's connections."""
        return self._call("terminateUserConnections", user_id)

    def validate(self, headers: Mapping[str, str], body: str) -> Any:
        """Give what a webhook says, or None if it is not genuine."""
        return self._driver.call("webhook", server=self._server, headers=dict(headers), body=body)

    def _get(self, path: str, **parameters: str) -> Any:
        return self._call("get", {"path": path, "params": parameters})

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return self._driver.call("sdk", server=self._server, call=method, args=arguments)
        except DriverError as error:
            if error.status is None:
                raise
            raise Refused(error.status, error.body or "") from None


def _info(attributes: Sequence[str]) -> dict[str, str]:
    return {"info": ",".join(attributes)} if attributes else {}


def of_python(call: Callable[[], T]) -> T:
    """Make a call, and tell its error as others tell theirs."""
    try:
        return call()
    except pusher.errors.PusherBadRequest as error:
        raise Refused(400, str(error)) from None
    except pusher.errors.PusherBadAuth as error:
        raise Refused(401, str(error)) from None
    except pusher.errors.PusherBadStatus as error:
        status, _, told = str(error).partition(": ")
        raise Refused(int(status), told) from None
