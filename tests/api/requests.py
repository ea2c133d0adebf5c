"""REST requests as bytes, signed by rules written down here once more, and the answers to them, taken apart."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from msgspec import Raw
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from slanger.api.endpoint import Api
from slanger.api.lean import LeanSite
from slanger.api.site import ApiSite
from slanger.domain.apps import App, Apps
from slanger.domain.limits import Limits
from slanger.interfaces import ISubscriber
from slanger.protocol.errors import Code, SubscriptionRefused
from slanger.protocol.messages import Member, Message
from slanger.transports.direct import write
from tests.builders import MemoryNode
from tests.server import KEY, SECRET

NOW = 1353088179
"""The time of the documentation's example."""

ADDRESS = IPv4Address("TCP", "192.0.2.7", 5150)

Parameters = tuple[tuple[str, str], ...]


def signature(method: str, path: str, parameters: Parameters, secret: str = SECRET) -> str:
    """Sign a request as server SDKs do: values unencoded, keys in lower case and sorted."""
    pairs = sorted(((key.lower(), value) for key, value in parameters), key=lambda pair: pair[0])
    text = "\n".join((method, path, "&".join(f"{key}={value}" for key, value in pairs)))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def auth_parameters(body: bytes, key: str = KEY, timestamp: int = NOW) -> Parameters:
    """Give the parameters of authentication, save the signature."""
    parameters = (("auth_key", key), ("auth_timestamp", str(timestamp)), ("auth_version", "1.0"))
    return (*parameters, ("body_md5", hashlib.md5(body).hexdigest())) if body else parameters


def signed_target(
    method: str,
    path: str,
    parameters: Parameters = (),
    body: bytes = b"",
    timestamp: int = NOW,
    key: str = KEY,
    secret: str = SECRET,
) -> str:
    """Give path and query of a request, signed."""
    everything = (*parameters, *auth_parameters(body, key, timestamp))
    query = "&".join(f"{quote(key)}={quote(value)}" for key, value in everything)
    return f"{quote(path)}?{query}&auth_signature={signature(method, path, everything, secret)}"


def request_bytes(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """Write a request, as an SDK with a body of JSON would."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost:4567"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


@dataclass(frozen=True)
class Response:
    """An answer, taken apart; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body, as text."""
        return self.body.decode()


def read_responses(received: bytes, *, head: bool = False) -> list[Response]:
    """Take answers apart; every byte must belong to one of them."""
    responses = []
    while received:
        header, _, received = received.partition(b"\r\n\r\n")
        line, *lines = header.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        headers = dict(pairs)
        assert len(headers) == len(pairs), f"a header came twice: {pairs}"
        length = 0 if head else int(headers["content-length"])
        assert len(received) >= length, f"{length} bytes of {len(received)}"
        body, received = received[:length], received[length:]
        responses.append(Response(int(line.split()[1]), headers, body))
    return responses


@implementer(ISubscriber)
class Listener:
    """A subscriber that keeps what it is sent."""

    def __init__(self, app: App, socket_id: str) -> None:
        self.app = app
        self.socket_id = socket_id
        self.received: list[Any] = []
        self.closes: list[int] = []

    def send(self, message: Message) -> None:
        """Keep a message."""
        self.received.append(json.loads(message.text))

    def close(self, code: Code, reason: str) -> None:
        """Keep the code of a close."""
        self.closes.append(code.number)

    def joined(self, channel: str, data: str | Raw) -> None:
        """Nothing to do."""

    def refused(self, refusal: SubscriptionRefused) -> None:
        """Nobody is refused here."""
        raise refusal

    def events(self) -> list[tuple[str, str, str]]:
        """Take channel, name and data of what has come since the last call."""
        received, self.received = self.received, []
        return [(each["channel"], each["event"], each["data"]) for each in received]


class Connection:
    """One connection to the API.

    :param clock: ends the server's reactor turns.
    """

    def __init__(self, site: IProtocolFactory, clock: Clock) -> None:
        self.transport = StringTransport()
        self._clock = clock
        protocol = site.buildProtocol(ADDRESS)
        assert protocol is not None
        self._protocol: IProtocol = protocol
        self._protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """Send bytes, as long as the server reads them, and let its reactor turn end."""
        if not self.ended:
            self.hear(data)
            self._clock.advance(0)

    def hear(self, data: bytes) -> None:
        """Have the server read bytes in this reactor turn."""
        self._protocol.dataReceived(data)

    def read(self, *, head: bool = False) -> list[Response]:
        """Take the answers that have come since the last call."""
        received = self.transport.value()
        self.transport.clear()
        return read_responses(received, head=head)

    def body_bytes_kept(self) -> int:
        """Count the bytes of a body that are kept for the request under way."""
        channel: HTTPChannel = getattr(self._protocol, "_channel", None) or cast(HTTPChannel, self._protocol)
        return len(channel.requests[0].content.getvalue())

    def leave(self) -> None:
        """Lose the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def ended(self) -> bool:
        """Whether the server has ended the connection."""
        return bool(self.transport.disconnecting)


class ApiTestCase(SynchronousTestCase):
    """The API of one node in memory."""

    def setUp(self) -> None:
        """Serve one app at the time of the documentation's example."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.serve(App(key=KEY, secret=SECRET))

    def serve(self, *apps: App, cors: tuple[str, ...] = (), **limits: Any) -> None:
        """Serve these apps, with the node's limits changed as named."""
        self.app = apps[0]
        self.node = MemoryNode(*apps, clock=self.clock, limits=Limits(**limits))
        self.registry = self.node.registry
        self.apps = Apps(apps)
        api = Api(
            self.apps,
            self.registry,
            self.node.users,
            self.clock,
            take_request=self.node.admission.take_request,
            limits=self.node.limits,
            cors_origins=cors,
            tallies=self.node.tallies,
        )
        self.site = self.build_site(self.amend(api))

    def amend(self, api: Api) -> Api:
        """Change what endpoints work with; these tests take it as it is."""
        return api

    def build_site(self, api: Api) -> ApiSite:
        """Serve as slanger does: plain requests go the lean way. The tests run over twisted.web alone, too."""
        return LeanSite(api, self.clock, write)

    def connect(self) -> Connection:
        """Open a connection."""
        return Connection(self.site, self.clock)

    def listen(
        self, channel: str, socket_id: str = "1.1", user_id: str | None = None, app: App | None = None
    ) -> Listener:
        """Put a new subscriber on a channel; of the first app, unless another is given."""
        listener = Listener(app or self.app, socket_id)
        self.registry.join(listener, channel, Member(user_id) if user_id else None)
        listener.received.clear()
        return listener

    def ask(self, request: bytes, *, head: bool = False) -> Response:
        """Send one request on a connection of its own."""
        connection = self.connect()
        connection.say(request)
        (response,) = connection.read(head=head)
        return response

    def get(self, path: str, *parameters: tuple[str, str]) -> Response:
        """Send a signed GET."""
        return self.ask(request_bytes("GET", signed_target("GET", path, parameters, timestamp=self.now)))

    def post(self, path: str, body: bytes | Mapping[str, object], *parameters: tuple[str, str]) -> Response:
        """Send a signed POST."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = signed_target("POST", path, parameters, content, timestamp=self.now)
        return self.ask(request_bytes("POST", target, content))

    @property
    def now(self) -> int:
        """The time, as requests are signed with it."""
        return int(self.clock.seconds())

    def assert_refused(self, response: Response, status: int, text: str | None = None) -> None:
        """Check that an answer is an error in plain text, one line, as SDKs show it to people."""
        self.assertEqual(response.status, status, response.body)
        self.assertTrue(response.headers["content-type"].startswith("text/plain"), response.headers)
        self.assertTrue(response.text.endswith("\n"))
        self.assertEqual(len(response.text.splitlines()), 1, response.text)
        self.assertGreater(len(response.text.strip()), 5)
        if text is not None:
            self.assertEqual(response.text, text + "\n")

    def assert_answered(self, response: Response, body: object) -> None:
        """Check that an answer is 200 with this JSON object."""
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertEqual(response.json, body)
