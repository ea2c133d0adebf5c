"""What every endpoint of the REST API shares: methods, JSON out, errors as plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from slanger.api.authentication import SignedRequest, authenticate
from slanger.api.parameters import Pairs, read_query
from slanger.domain.apps import App, Apps
from slanger.interfaces import IRegistry, IUsers
from slanger.protocol.errors import NotFound, RequestRefused, TooLarge
from slanger.protocol.names import REQUEST_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Api:
    """What endpoints work with.

    :param clock: the time of day; signatures expire by it.
    :param body_bytes: bytes of one body, at most.
    :param cut_off_since: see `IBroker.cut_off_since`.
    """

    apps: Apps
    registry: IRegistry
    users: IUsers
    clock: IReactorTime
    body_bytes: int = REQUEST_BODY_BYTES
    cut_off_since: Callable[[], float | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request.

    :param query: its parameters, those of authentication included.
    """

    app: App
    query: Pairs
    body: bytes


Answer = Mapping[str, object]
Method = Callable[[Call], Awaitable[Answer]]


class Endpoint(Resource):
    """A leaf of the tree: one path of one app.

    :param app_id: as the path names it; None where it names none.

    Subclasses have a coroutine for each method, named like it: `async def post(self, call) -> Answer`.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, api: Api, app_id: str | None) -> None:
        super().__init__()
        self.api = api
        self._app_id = app_id

    def render(self, request: Request) -> Any:
        """Answer a request, now or later."""
        method = {"HEAD": "get"}.get(request.method.decode("latin-1"), request.method.decode("latin-1").lower())
        offered = [name for name in ("get", "post") if hasattr(self, name)]
        if method not in offered:
            request.setHeader("Allow", ", ".join(offered).upper())
            return reply(request, 405, f"405 METHOD NOT ALLOWED: this path takes {', '.join(offered).upper()}")
        flow = Deferred.fromCoroutine(self._answer(request, getattr(self, method)))
        if not flow.called:
            request.notifyFinish().addErrback(lambda _: flow.cancel())
        flow.addErrback(self._refuse, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request, method: Method) -> None:
        body = cast(BinaryIO, request.content).read()
        if len(body) > self.api.body_bytes:
            raise TooLarge(f"The body of this request exceeds the allowed maximum ({self.api.body_bytes} bytes)")
        path, _, query = request.uri.partition(b"?")
        signed = SignedRequest(request.method.decode("latin-1"), path.decode("latin-1"), query, body)
        app = authenticate(signed, self._app_id, self.api.apps, self.api.clock.seconds())
        answer = await method(Call(app, read_query(query), body))
        write(request, 200, "application/json", msgspec.json.encode(answer))

    def _refuse(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            return
        if isinstance(failure.value, RequestRefused):
            reply(request, failure.value.status, failure.value.message)
            return
        self._log.failure("answering {method} {path} failed", failure, method=request.method, path=request.path)
        reply(request, 500, "500 INTERNAL SERVER ERROR")


class Nowhere(Resource):
    """A path that is not part of the API."""

    isLeaf = True

    def render(self, request: Request) -> Any:
        """Say so."""
        return reply(request, NotFound.status, NotFound().message)


def reply(request: Request, status: int, text: str) -> Any:
    """Answer with one line of plain text, as server SDKs expect of an error."""
    return write(request, status, "text/plain; charset=utf-8", f"{text}\n".encode())


def write(request: Request, status: int, content_type: str, body: bytes) -> Any:
    """Answer, whatever the method: twisted.web leaves the body of a HEAD out."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()
    return NOT_DONE_YET
