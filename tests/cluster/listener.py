"""A WebSocket client that keeps all it hears, as it came; for bookkeeping where pusher-js would hide something."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.sdk.sdks import PythonSdk
from tests.server import KEY, PATIENCE, Server, wait_for

ESTABLISHED = "pusher:connection_established"
SUCCEEDED = "pusher_internal:subscription_succeeded"
ADDED = "pusher_internal:member_added"
REMOVED = "pusher_internal:member_removed"


class Listener:
    """One connection to a server; use it as a context manager.

    :param user_id: who it is on presence channels.
    :ivar messages: all of them, in the order they came, with `data` decoded.
    """

    def __init__(self, server: Server, user_id: str | None = None) -> None:
        self._server = server
        self._user_id = user_id
        self.messages: list[dict[str, Any]] = []
        self.ended = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        url = f"ws://127.0.0.1:{self._server.websocket_port}/app/{KEY}?protocol=7&client=test"
        connecting = connect(url, proxy=None, open_timeout=PATIENCE, ping_interval=None)
        self._connection = self._stack.enter_context(connecting)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.socket_id: str = self.wait(ESTABLISHED)["socket_id"]
        return self

    def __exit__(self, *fault: object) -> None:
        self._stack.close()
        self._reader.join(PATIENCE)

    def subscribe(self, channel: str) -> Any:
        """Subscribe, and wait until that has succeeded; give what came with it."""
        before = len(self.heard(SUCCEEDED, channel))
        token: dict[str, str] = {}
        if channel.startswith(("private-", "presence-")):
            member: dict[str, Any] | None = None
            if channel.startswith("presence-"):
                member = {"user_id": self._user_id, "user_info": {}}
            token = PythonSdk(self._server).authorize(self.socket_id, channel, member)
        self.say("pusher:subscribe", {"channel": channel, **token})
        wait_for(f"subscribing to {channel}", lambda: len(self.heard(SUCCEEDED, channel)) > before)
        return self.heard(SUCCEEDED, channel)[-1]

    def unsubscribe(self, channel: str) -> None:
        """Unsubscribe."""
        self.say("pusher:unsubscribe", {"channel": channel})

    def say(self, event: str, data: Any, channel: str | None = None) -> None:
        """Send a message."""
        self._connection.send(json.dumps({"event": event, "data": data} | ({"channel": channel} if channel else {})))

    def heard(self, event: str | None = None, channel: str | None = None) -> list[Any]:
        """List the data of all events of this name and channel, in the order they came."""
        return [
            message["data"]
            for message in tuple(self.messages)
            if event in (None, message["event"]) and channel in (None, message.get("channel"))
        ]

    def comings(self, channel: str) -> list[tuple[str, str]]:
        """List who came (`+`) to a presence channel and who went (`-`), in order."""
        signs = {ADDED: "+", REMOVED: "-"}
        return [
            (signs[message["event"]], message["data"]["user_id"])
            for message in tuple(self.messages)
            if message["event"] in signs and message["channel"] == channel
        ]

    def wait(self, event: str, channel: str | None = None, patience: float = PATIENCE) -> Any:
        """Wait for the first such event, and give its data."""
        wait_for(event, lambda: self.heard(event, channel), patience)
        return self.heard(event, channel)[0]

    def _read(self) -> None:
        try:
            for text in self._connection:
                message = json.loads(text)
                if isinstance(message["data"], str):
                    message["data"] = json.loads(message["data"])
                self.messages.append(message)
        except ConnectionClosed:
            pass
        self.ended = True
