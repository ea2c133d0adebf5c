"""A real HTTP server on the loopback interface that is told by webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Told:
    """A request that came; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events."""
        events: list[dict[str, Any]] = json.loads(self.body)["events"]
        return events

    def signed_with(self, secret: str) -> bool:
        """Whether it was signed with this secret."""
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers["x-pusher-signature"] == signature


Answer = Callable[[list[Told]], int]
"""Chooses the status of an answer from the requests that came to its path so far, this one included."""


class Receiver:
    """Keeps what it is told; use it as a context manager.

    :param answers: for some paths, how they answer; others answer 200. A redirect leads to `/elsewhere`, and a status
        of 0 is no answer at all, as long as the receiver lives.
    """

    def __init__(self, **answers: Answer) -> None:
        self._told: list[Told] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver._take(Told(self.path, headers, body), answers)
                if not status:
                    receiver._ended.wait()
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # a redirect that is followed may become a GET

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Keep no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Give the URL of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{path}"

    def told(self, path: str) -> list[Told]:
        """Give the requests that came to a path so far."""
        with self._lock:
            return [told for told in self._told if told.path == f"/{path}"]

    def events(self, path: str, *names: str) -> list[dict[str, Any]]:
        """Give the events that came to a path so far: all, or those of some names."""
        events = [event for told in self.told(path) for event in told.events]
        return [event for event in events if not names or event["name"] in names]

    def _take(self, told: Told, answers: Mapping[str, Answer]) -> int:
        with self._lock:
            self._told.append(told)
            answer = answers.get(told.path.lstrip("/"))
            return 200 if answer is None else answer([each for each in self._told if each.path == told.path])
