"""What every endpoint of the REST API shares: methods, JSON out, errors as plain text.

An endpoint makes a `Reply` of a `SignedRequest`, whoever read the one and writes the other: twisted.web, or the lean
channel beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from slanger.api.authentication import Call, SignedRequest, authenticate
from slanger.domain.apps import Apps
from slanger.interfaces import IRegistry, IUsers
from slanger.protocol.errors import NotFound, RequestRefused, TooLarge
from slanger.protocol.names import REQUEST_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Api:
    """What endpoints work with.

    :param clock: the time of day; signatures expire by it.
    :param cut_off_since: see `IBroker.cut_off_since`.
    """

    apps: Apps
    registry: IRegistry
    users: IUsers
    clock: IReactorTime
    cut_off_since: Callable[[], float | None] = lambda: None

    @property
    def body_bytes(self) -> int:
        """Bytes of one body, at most: as much as some app may need."""
        return max(REQUEST_BODY_BYTES, self.apps.body_bytes)


class Reply(msgspec.Struct, frozen=True):
    """What a request is answered.

    :param allow: the methods the path takes; told with a 405 only.
    """

    status: int
    content_type: str
    body: bytes
    allow: str = ""


Answer = dict[str, object]
Method = Callable[[Call], Answer | Awaitable[Answer]]


class Leaf(Resource):
    """One path."""

    isLeaf = True

    def answer(self, request: SignedRequest) -> Reply | Deferred[Reply]:
        """Answer a request, at once or later; what comes later fails only when it was cancelled."""
        raise NotImplementedError

    def render(self, request: Request) -> Any:
        """Answer a request of twisted.web."""
        body = cast(BinaryIO, request.content).read()
        return respond(request, self.answer(SignedRequest.of(request.method, request.uri, body)))


class Endpoint(Leaf):
    """One path of one app. It keeps nothing of a request.

    :param app_id: as the path names it; None where it names none.

    Subclasses have a method for each of HTTP's that they take, named like it. One that has nothing to wait for is a
    plain function, which costs least, `def post(self, call) -> Answer`; others are coroutines.
    """

    _log = Logger()

    def __init__(self, api: Api, app_id: str | None) -> None:
        super().__init__()
        self.api = api
        self._app_id = app_id
        self._methods: dict[str, Method] = {
            name.upper(): getattr(self, name) for name in ("get", "post") if hasattr(self, name)
        }

    def answer(self, request: SignedRequest) -> Reply | Deferred[Reply]:
        """Let the request's method answer."""
        method = self._methods.get("GET" if request.method == "HEAD" else request.method.upper())
        if method is None:
            allow = ", ".join(self._methods)
            return plain_text(405, f"405 METHOD NOT ALLOWED: this path takes {allow}", allow)
        try:
            answer = method(self._authenticate(request))
        except Exception as fault:
            return self._refuse(fault, request)
        if isinstance(answer, dict):
            return json_text(answer)
        later = Deferred.fromCoroutine(self._later(answer, request))
        reply = getattr(later, "result", None)
        return reply if isinstance(reply, Reply) else later

    def _authenticate(self, request: SignedRequest) -> Call:
        api = self.api
        if len(request.body) > api.body_bytes:
            raise TooLarge(f"The body of this request exceeds the allowed maximum ({api.body_bytes} bytes)")
        return authenticate(request, self._app_id, api.apps, api.clock.seconds())

    async def _later(self, answer: Awaitable[Answer], request: SignedRequest) -> Reply:
        try:
            return json_text(await answer)
        except CancelledError:
            raise
        except Exception as fault:
            return self._refuse(fault, request)

    def _refuse(self, fault: Exception, request: SignedRequest) -> Reply:
        if isinstance(fault, RequestRefused):
            return plain_text(fault.status, fault.message)
        self._log.failure("answering {method} {path} failed", method=request.method, path=request.path)
        return plain_text(500, "500 INTERNAL SERVER ERROR")


class Nowhere(Leaf):
    """A path that is not part of the API."""

    def answer(self, request: SignedRequest) -> Reply:
        """Say so."""
        return plain_text(NotFound.status, NotFound().message)


def plain_text(status: int, text: str, allow: str = "") -> Reply:
    """Answer with one line of plain text, as server SDKs expect of an error."""
    return Reply(status, "text/plain; charset=utf-8", f"{text}\n".encode(), allow)


def json_text(answer: Answer) -> Reply:
    """Answer with JSON."""
    return Reply(200, "application/json", msgspec.json.encode(answer))


def respond(request: Request, reply: Reply | Deferred[Reply]) -> Any:
    """Answer a request of twisted.web, once the reply is there. If the caller goes before that, it is given up."""
    if isinstance(reply, Reply):
        write(request, reply)
    else:
        request.notifyFinish().addErrback(lambda _: reply.cancel())
        reply.addCallbacks(lambda told: write(request, told), lambda failure: failure.trap(CancelledError))
    return NOT_DONE_YET


def write(request: Request, reply: Reply) -> None:
    """Answer a request of twisted.web, whatever the method: the body of a HEAD is left out there."""
    request.setResponseCode(reply.status)
    if reply.allow:
        request.setHeader("Allow", reply.allow)
    request.setHeader("Content-Type", reply.content_type)
    request.setHeader("Content-Length", str(len(reply.body)))
    request.write(reply.body)
    request.finish()
