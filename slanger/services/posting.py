"""Sending webhooks over HTTP, by Twisted's own client."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from slanger.domain.webhooks import Hook

CONNECT_TIMEOUT = 5
"""Seconds to reach an endpoint."""

ANSWER_TIMEOUT = 10
"""Seconds an endpoint has for its answer, and again for its body."""

BODY_BYTES = 64 * 1024
"""Bytes of an answer's body that are read, and thrown away, so that the connection can be used again."""

_HUNG_UP = (ConnectionDone, ConnectionLost)


class _Discard(Protocol):
    """Reads a body to its end, within bounds. A receiver that does not end it is hung up on."""

    def __init__(self) -> None:
        self._received = 0
        self.done: Deferred[None] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > BODY_BYTES:
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.callback(None)

    def _abort(self) -> None:
        connection = getattr(self.transport, "_producer", None)  # the proxy that Twisted gives us cannot abort
        if connection is not None:
            connection.abortConnection()


class Poster:
    """Posts hooks. Redirects are not followed: an answer that is not 2xx is no success."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._agent = Agent(reactor, connectTimeout=CONNECT_TIMEOUT, pool=HTTPConnectionPool(reactor))

    def __call__(self, url: str, hook: Hook) -> Deferred[int]:
        """Send a hook; fire with the status of the answer, or fail where none came in time."""
        request = self._request(url, hook).addErrback(self._once_more, url, hook)
        return request.addTimeout(ANSWER_TIMEOUT, self._reactor).addCallback(self._status)

    def _request(self, url: str, hook: Hook) -> Deferred[IResponse]:
        headers = Headers()
        for name, value in hook.headers:
            headers.addRawHeader(name, value)
        body = FileBodyProducer(BytesIO(hook.body))
        request: Deferred[IResponse] = self._agent.request(b"POST", url.encode(), headers, body)
        return request

    def _once_more(self, failure: Failure, url: str, hook: Hook) -> Deferred[IResponse]:
        """Ask anew where the receiver hung up before it answered.

        Most likely it had hung up before it was asked: those who speak HTTP/1.0, and some others, close a connection
        after each answer without saying so, and all close one that was idle for long.
        """
        fault = failure.value
        if isinstance(fault, ResponseNeverReceived) and all(each.check(*_HUNG_UP) for each in fault.reasons):
            return self._request(url, hook)
        return fail(failure)

    def _status(self, response: IResponse) -> int:
        """Take the status; the body is read beside, and is given up where it does not end in time."""
        discard = _Discard()
        response.deliverBody(discard)
        discard.done.addTimeout(ANSWER_TIMEOUT, self._reactor).addErrback(lambda _: None)
        return int(response.code)
