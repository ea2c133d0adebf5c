"""Official JavaScript clients and the Node server SDK, stepped from Python.

They live in one Node process, `js/driver.js`, which takes commands and tells events as lines of JSON.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.sdk import node
from tests.server import PATIENCE

T = TypeVar("T")

JS = Path(__file__).parent / "js"


@dataclass(frozen=True)
class Event:
    """What one client saw.

    :param client: its name; None for what the process itself has to say.
    :param scope: which of the client's objects told it: connection, channel, user, watchlist, echo or page.
    :param metadata: what pusher-js adds to a client event: the `user_id`.
    """

    client: str | None
    scope: str
    event: str
    channel: str | None
    data: Any
    metadata: Any

    def __str__(self) -> str:
        where = f" on {self.channel}" if self.channel else ""
        metadata = f" {json.dumps(self.metadata)}" if self.metadata else ""
        return f"{self.client} [{self.scope}] {self.event}{where}: {json.dumps(self.data)[:300]}{metadata}"


class DriverError(Exception):
    """A command failed.

    :param status: the HTTP status, where a REST request failed.
    :param body: the body of that answer.
    """

    def __init__(self, message: str, status: int | None, body: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Driver:
    """One Node process with any number of clients; use it as a context manager.

    :param ca: certificates to trust, in PEM, beside those that Node comes with.
    """

    def __init__(self, ca: Path | None = None) -> None:
        self._ca = ca
        self._changed = threading.Condition()
        self._ids = itertools.count(1)
        self._ready = False
        self._ended = False
        self._replies: dict[int, dict[str, Any]] = {}
        self._unclaimed: list[Event] = []
        self._stderr: deque[str] = deque(maxlen=40)

    def __enter__(self) -> Driver:
        node.install(JS)
        environment = node.environment()
        if self._ca is not None:
            environment["NODE_EXTRA_CA_CERTS"] = str(self._ca)
        self._process = subprocess.Popen(
            [node.NODE, "driver.js"],
            cwd=JS,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_stderr)]
        for reader in self._readers:
            reader.start()
        self._wait_for(lambda: self._ready or None, lambda: "the driver did not start")
        return self

    def __exit__(self, *fault: object) -> None:
        """End the process; it leaves when its input ends."""
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            for reader in self._readers:
                reader.join()
            self._process.stdout.close()
            self._process.stderr.close()

    def call(self, do: str, **arguments: Any) -> Any:
        """Carry out a command, and give its value.

        :raises DriverError: it failed.
        """
        assert self._process.stdin
        number = next(self._ids)
        self._process.stdin.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        reply = self._wait_for(lambda: self._replies.pop(number, None), lambda: f"no reply to {do} {arguments}")
        if "error" in reply:
            raise DriverError(f"{do}: {reply['error']}", reply.get("status"), reply.get("body"))
        return reply["value"]

    def expect(
        self,
        client: str,
        event: str,
        channel: str | None = None,
        *,
        scope: str | None = None,
        where: Callable[[Any], bool] = lambda data: True,
    ) -> Event:
        """Claim the first event that matches, waiting for it; others stay for later calls.

        :param where: what its data must be like.
        :raises AssertionError: it has not come within `PATIENCE`; with all events that did come.
        """

        def claim() -> Event | None:
            for index, seen in enumerate(self._unclaimed):
                if _matches(seen, client, event, channel, scope) and where(seen.data):
                    return self._unclaimed.pop(index)
            return None

        on = f" on {channel}" if channel else ""
        return self._wait_for(claim, lambda: f"{client} did not see {event}{on} within {PATIENCE} s")

    def seen(
        self, client: str | None, event: str | None, channel: str | None = None, *, scope: str | None = None
    ) -> list[Event]:
        """List the events that match and were not claimed, in the order they came; they stay."""
        with self._changed:
            return [seen for seen in self._unclaimed if _matches(seen, client, event, channel, scope)]

    def forget(self) -> None:
        """Forget all events that were not claimed."""
        with self._changed:
            self._unclaimed.clear()

    def _wait_for(self, take: Callable[[], T | None], complaint: Callable[[], str]) -> T:
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                value = take()
                if value is not None:
                    return value
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError("\n".join([complaint(), *self._story()]))
                self._changed.wait(left)

    def _story(self) -> list[str]:
        """Tell what is known, for the reader of a failed test."""
        ended = [f"the driver ended with {self._process.poll()}"] if self._ended else []
        return [*ended, "unclaimed events:", *(f"  {seen}" for seen in self._unclaimed[-40:]), *self._stderr]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            message = json.loads(line)
            with self._changed:
                if "ready" in message:
                    self._ready = True
                elif "reply" in message:
                    self._replies[message["reply"]] = message
                else:
                    self._unclaimed.append(Event(**message))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_stderr(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._stderr.append(line.rstrip())


def _matches(seen: Event, client: str | None, event: str | None, channel: str | None, scope: str | None) -> bool:
    return (
        seen.client == client
        and event in (None, seen.event)
        and channel in (None, seen.channel)
        and scope in (None, seen.scope)
    )
