"""What every endpoint of the REST API shares: methods, JSON out, errors as plain text.

An endpoint makes a `Reply` of a `SignedRequest`, whoever read the one and writes the other: twisted.web, or the lean
channel beside it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import RESPONSES
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from slanger.api.authentication import Call, SignedRequest, authenticate, is_signed
from slanger.domain.apps import App, Apps
from slanger.domain.limits import Limits
from slanger.interfaces import IRegistry, IUsers
from slanger.protocol.errors import NotFound, RequestRefused, TooLarge, TooMany
from slanger.proxies import HEADER, NOBODY, Proxies
from slanger.tallies import Tallies

if TYPE_CHECKING:
    from slanger.api.site import ApiChannel

_log = Logger()
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _log_failure(kind: str, text: str) -> None:
    _log.failure("{kind}: {text}", kind=kind, text=text)


STATUSES = {**RESPONSES, 429: b"Too Many Requests"}
"""What statuses are called; twisted.web knows no newer ones."""


class Amiss(NamedTuple):
    """What is amiss with a node that serves.

    :param code: names it for machines.
    :param reason: says it to people.
    :param since: in seconds of the clock.
    """

    code: str
    reason: str
    since: float


@dataclass(slots=True)
class Api:
    """What endpoints work with.

    :param clock: the time of day; signatures expire by it.
    :param cut_off_since: see `IBroker.cut_off_since`.
    :param take_request: counts a request of an app; it raises `TooMany` where there were too many.
    :ivar limits: of bodies, headers and time-outs; they may change.
    :param cors_origins: of web pages that may ask and read answers; none by default, as signing takes the secret.
    :param complain: logs the exception that is being handled, once in a while, under a few words that stay the same.
    :param amiss: tells what else is amiss.
    :param tallies: count requests, and what is refused.
    :param scrape: writes all metrics; None where they are not to be had here.
    :param log_request: learns of every request, where that is wanted: whose, its method and path, and the answer's
        status and size.
    :param proxies: who is believed about the addresses of callers.
    :param path_prefix: stands before the paths of some or all requests; empty, or begins with a slash and ends without.
    :param unready: tells why no clients are to be sent to this node, or None.
    """

    apps: Apps
    registry: IRegistry
    users: IUsers
    clock: IReactorTime
    cut_off_since: Callable[[], float | None] = lambda: None
    take_request: Callable[[App], None] = lambda _: None
    limits: Limits = field(default_factory=Limits)
    cors_origins: tuple[str, ...] = ()
    complain: Callable[[str, str], None] = _log_failure
    amiss: Callable[[], Iterable[Amiss]] = tuple
    tallies: Tallies = field(default_factory=Tallies)
    scrape: Callable[[], bytes] | None = None
    log_request: Callable[[str, str, str, int, int], None] | None = None
    proxies: Proxies = NOBODY
    path_prefix: str = ""
    unready: Callable[[], str | None] = lambda: None


class Reply(msgspec.Struct, frozen=True):
    """What a request is answered.

    :param allow: the methods the path takes; told with a 405 only.
    :param retry_after: seconds until it is worth to ask again; told with a 429 only.
    """

    status: int
    content_type: str
    body: bytes
    allow: str = ""
    retry_after: int = 0


Answer = dict[str, object]
Method = Callable[[Call], Answer | Awaitable[Answer]]


class Leaf(Resource):
    """One path."""

    isLeaf = True

    def answer(self, request: SignedRequest) -> Reply | Deferred[Reply]:
        """Answer a request, at once or later; what comes later fails only when it was cancelled."""
        raise NotImplementedError

    def wants_body(self, request: SignedRequest) -> bool:
        """Tell by the head of a request whether its body may make a difference to the answer."""
        return False

    def render(self, request: Request) -> Any:
        """Answer a request of twisted.web."""
        body = cast(BinaryIO, request.content).read()
        address = caller_of(request)
        return respond(request, self.answer(SignedRequest.of(request.method, request.uri, body, address)))


class Endpoint(Leaf):
    """One path of one app. It keeps nothing of a request.

    :param app_id: as the path names it; None where it names none.
    :cvar kind: names it in metrics.

    Subclasses have a method for each of HTTP's that they take, named like it. One that has nothing to wait for is a
    plain function, which costs least, `def post(self, call) -> Answer`; others are coroutines.
    """

    kind: ClassVar[str]

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
            return self._counted(None, plain_text(405, f"405 METHOD NOT ALLOWED: this path takes {allow}", allow))
        call = None
        try:
            call = self._authenticate(request)
            answer = method(call)
        except Exception as fault:
            return self._counted(call, self._refuse(fault, request))
        if isinstance(answer, dict):
            return self._counted(call, json_text(answer))
        later = Deferred.fromCoroutine(self._later(answer, request, call))
        reply = getattr(later, "result", None)
        return reply if isinstance(reply, Reply) else later

    def wants_body(self, request: SignedRequest) -> bool:
        """Want that of a request that is signed; any other is refused, whatever it brings."""
        api = self.api
        return is_signed(request, self._app_id, api.apps, api.clock.seconds(), api.path_prefix)

    def _authenticate(self, request: SignedRequest) -> Call:
        api = self.api
        if len(request.body) > api.limits.body_bytes:
            raise TooLarge(f"The body of this request exceeds the allowed maximum ({api.limits.body_bytes} bytes)")
        call = authenticate(request, self._app_id, api.apps, api.clock.seconds(), api.path_prefix)
        api.take_request(call.app)
        return call

    async def _later(self, answer: Awaitable[Answer], request: SignedRequest, call: Call) -> Reply:
        try:
            return self._counted(call, json_text(await answer))
        except CancelledError:
            raise
        except Exception as fault:
            return self._counted(call, self._refuse(fault, request))

    def _counted(self, call: Call | None, reply: Reply) -> Reply:
        """Count a request that is answered."""
        tallies = self.api.tallies
        if call is None:
            meter = tallies.nobody
        else:
            meter = tallies.of(call.app)
            meter.api_bytes_received += len(call.body)
            meter.api_bytes_sent += len(reply.body)
        meter.requests[self.kind, reply.status] += 1
        return reply

    def _refuse(self, fault: Exception, request: SignedRequest) -> Reply:
        if isinstance(fault, RequestRefused):
            self.api.tallies.requests_refused[(str(fault.status),)] += 1
            if fault.unproven:
                self.api.tallies.auth_failures[fault.app, "api", fault.unproven] += 1
            return plain_text(fault.status, fault.message, retry_after=1 if isinstance(fault, TooMany) else 0)
        self.api.complain("answering a request failed", f"{request.method} {request.path!r} of {request.address}")
        return plain_text(500, "500 INTERNAL SERVER ERROR")


class Nowhere(Leaf):
    """A path that is not part of the API."""

    def answer(self, request: SignedRequest) -> Reply:
        """Say so."""
        return plain_text(NotFound.status, NotFound().message)


DONE = Reply(200, "application/json", b"{}")
"""There is nothing more to say."""


def plain_text(status: int, text: str, allow: str = "", retry_after: int = 0) -> Reply:
    """Answer with one line of plain text, as server SDKs expect of an error; what callers sent makes no second one."""
    line = _CONTROL.sub("?", text)
    return Reply(status, "text/plain; charset=utf-8", f"{line}\n".encode(), allow, retry_after)


def json_text(answer: Answer, status: int = 200) -> Reply:
    """Answer with JSON."""
    if not answer:
        return DONE
    return Reply(status, "application/json", msgspec.json.encode(answer))


def caller_of(request: Request) -> str:
    """Give the address of whoever made a request of twisted.web."""
    forwarded = ",".join(request.requestHeaders.getRawHeaders(HEADER, []))
    return cast("ApiChannel", request.channel).caller(forwarded)


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
    request.setResponseCode(reply.status, STATUSES[reply.status])
    if reply.allow:
        request.setHeader("Allow", reply.allow)
    if reply.retry_after:
        request.setHeader("Retry-After", str(reply.retry_after))
    request.setHeader("Content-Type", reply.content_type)
    request.setHeader("Content-Length", str(len(reply.body)))
    request.write(reply.body)
    request.finish()
