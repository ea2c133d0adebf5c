"""An app's back end, as webhooks see it: a real HTTP server that keeps what it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.server import PATIENCE

DEAF = "/deaf"
"""The path that is never answered while tests run."""

REPENTANT = "/repentant"
"""The path that answers 500 to the first three attempts of each hook."""

ELSEWHERE = "/elsewhere"
"""The path that answers with a redirect to `REDIRECTED`."""

REDIRECTED = "/redirected"


@dataclass(frozen=True)
class Hook:
    """One request.

    :param headers: with lower-case names.
    """

    path: str
    headers: dict[str, str]
    body: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Give the events it tells of."""
        events: list[dict[str, Any]] = json.loads(self.body)["events"]
        return events

    def tells(self, members: dict[str, Any]) -> bool:
        """Whether one of its events has these members."""
        return any(members.items() <= event.items() for event in self.events)


class Receiver:
    """Answers 200 on any path but the peculiar ones; use it as a context manager."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hooks: list[Hook] = []
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answers())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)

    def url(self, path: str) -> str:
        """Tell where a path is."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def expect(self, path: str, **members: Any) -> Hook:
        """Wait for the first hook on a path that tells of an event with these members.

        :raises AssertionError: it has not come within `PATIENCE`; with all that did come.
        """
        return self.expect_many(1, path, **members)[0]

    def expect_many(self, count: int, path: str, **members: Any) -> list[Hook]:
        """Wait for as many such hooks."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while len(found := self._found(path, members)) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    last = "\n".join(f"{hook.path} {hook.body}" for hook in self._hooks[-40:])
                    raise AssertionError(f"{path} was not told {count} times of {members} within {PATIENCE} s:\n{last}")
                self._changed.wait(left)
        return found

    def seen(self, path: str, **members: Any) -> list[str]:
        """List the names of the events on a path that have these members, in the order they came."""
        with self._changed:
            events = [event for hook in self._found(path, members) for event in hook.events]
        return [event["name"] for event in events if members.items() <= event.items()]

    def _found(self, path: str, members: dict[str, Any]) -> list[Hook]:
        return [hook for hook in self._hooks if hook.path == path and hook.tells(members)]

    def _take(self, hook: Hook) -> int | None:
        """Keep a hook; give the status of its answer, or None where there is to be none."""
        with self._changed:
            failures = self._hooks.count(hook)
            self._hooks.append(hook)
            self._changed.notify_all()
        if hook.path == DEAF:
            self._over.wait()
            return None
        if hook.path == ELSEWHERE:
            return 307
        return 500 if hook.path == REPENTANT and failures < 3 else 200

    def _answers(self) -> type[BaseHTTPRequestHandler]:
        take: Callable[[Hook], int | None] = self._take
        redirected = REDIRECTED

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = take(Hook(self.path, headers, body.decode()))
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", redirected)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Say nothing."""

        return Answers
