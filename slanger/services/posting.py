"""Sending webhooks over HTTP, by Twisted's own client."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from zope.interface import implementer

from slanger.domain.webhooks import Hook

if TYPE_CHECKING:
    from twisted.web._newclient import HTTP11ClientProtocol

CONNECT_TIMEOUT = 5
"""Seconds to reach an endpoint."""

ANSWER_TIMEOUT = 10
"""Seconds an endpoint has for its answer, and again for its body."""

ANSWER_BYTES = 64 * 1024
"""Bytes of an answer, its head included, that are read so that the connection can be used again. Twisted's client would
keep headers without end."""


class TooLong(Exception):
    """An answer is longer than what is read of it."""


class _Bounded(ProtocolWrapper):
    """A connection to an endpoint, that is closed when an answer is too long."""

    _received = 0

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send the head of a request: another answer begins."""
        self._received = 0
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += len(data)
        if self._received > ANSWER_BYTES:
            self.abortConnection()
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell why it ended."""
        if self._received > ANSWER_BYTES:
            reason = Failure(TooLong(f"its answer has more than {ANSWER_BYTES} bytes"))
        super().connectionLost(reason)


class _Bounding(WrappingFactory):
    """Makes such connections."""

    protocol = _Bounded
    noisy = False


@implementer(IStreamClientEndpoint)
class _Way:
    """A way to an endpoint, on which answers are bounded."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        protocolFactory.noisy = False  # two lines in the log for each connection
        connecting: Deferred[Any] = self._endpoint.connect(_Bounding(protocolFactory))
        return connecting.addCallback(lambda bounded: bounded.wrappedProtocol)


class _Pool(HTTPConnectionPool):
    """Connections to endpoints, with bounds."""

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[HTTP11ClientProtocol]:
        return super().getConnection(key, _Way(endpoint))


_HUNG_UP = (ConnectionDone, ConnectionLost)


class _Discard(Protocol):
    """Reads a body to its end. A receiver that does not end it is hung up on."""

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        pass

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
        self._agent = Agent(reactor, connectTimeout=CONNECT_TIMEOUT, pool=_Pool(reactor))

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
