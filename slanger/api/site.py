"""The paths of the API, and the HTTP server around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from slanger.api.batch import BatchEvents
from slanger.api.channels import Channel, Channels
from slanger.api.endpoint import Api, Leaf, Nowhere, plain_text, write
from slanger.api.events import ChannelEvents, Events
from slanger.api.health import Health
from slanger.api.users import ChannelUsers, TerminateConnections
from slanger.protocol.names import REQUEST_BODY_BYTES

PATIENCE_BYTES = 16 * REQUEST_BODY_BYTES
"""Bytes beyond what is allowed that are read and thrown away, so that the answer can be heard."""

LEAVES = 256
"""Paths whose endpoints are kept."""


class Root(Resource):
    """All paths of the API.

    :ivar leaf: finds what answers a path, given as it came over the wire; it remembers some.
    """

    isLeaf = True

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api
        self.leaf: Callable[[str], Leaf] = lru_cache(LEAVES)(self._find)

    def render(self, request: Request) -> Any:
        """Let the endpoint of a path answer."""
        return self.leaf(request.path.decode("latin-1")).render(request)

    def _find(self, path: str) -> Leaf:
        match [unquote_to_bytes(part.encode("latin-1")).decode("utf-8", "replace") for part in path[1:].split("/")]:
            case ["apps", app_id, "events"]:
                return Events(self._api, app_id)
            case ["apps", app_id, "batch_events"]:
                return BatchEvents(self._api, app_id)
            case ["apps", app_id, "channels"]:
                return Channels(self._api, app_id)
            case ["apps", app_id, "channels", channel]:
                return Channel(self._api, app_id, channel)
            case ["apps", app_id, "channels", channel, "users"]:
                return ChannelUsers(self._api, app_id, channel)
            case ["apps", app_id, "channels", channel, "events"]:
                return ChannelEvents(self._api, app_id, channel)
            case ["apps", app_id, "users", user_id, "terminate_connections"]:
                return TerminateConnections(self._api, app_id, user_id)
            case ["health"]:
                return Health(self._api)
            case ["users", user_id, "terminate_connections"]:  # the Python SDK leaves the app out
                return TerminateConnections(self._api, None, user_id)
        return Nowhere()


class ApiRequest(Request):
    """A request whose body is bounded, and whose faults are told in plain text."""

    content: BytesIO
    channel: Any
    _body_bytes = 0

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory: it is small, or it is not kept."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body, up to one byte more than is allowed; that byte has the request refused."""
        self._body_bytes += len(data)
        allowed = self.channel.site.body_bytes
        if self._body_bytes > allowed + PATIENCE_BYTES:
            self.channel.loseConnection()
        self.content.write(data[: max(0, allowed + 1 - self.content.tell())])

    def process(self) -> None:
        """Answer, unless the caller was hung up on."""
        if self._body_bytes <= self.channel.site.body_bytes + PATIENCE_BYTES:
            super().process()

    def setHeader(self, name: str | bytes, value: str | bytes) -> None:
        """Set a header; what server this is, is nobody's business."""
        if name not in (b"Server", "Server"):
            super().setHeader(name, value)

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer a fault of ours; it stays in the log."""
        self._log.failure("answering {method} {path} failed", reason, method=self.method, path=self.path)
        write(self, plain_text(500, "500 INTERNAL SERVER ERROR"))
        return reason


class ApiSite(Site):
    """The HTTP server of the API. It keeps no access log, and never looks for form fields in a body."""

    noisy = False

    def __init__(self, api: Api, reactor: IReactorTime) -> None:
        self._api = api
        self.root = Root(api)
        super().__init__(self.root, requestFactory=ApiRequest, parsePOSTFormSubmission=False, reactor=reactor)

    @property
    def body_bytes(self) -> int:
        """Bytes of one body, at most."""
        return self._api.body_bytes

    def log(self, request: Request) -> None:  # type: ignore[override]
        """Keep no access log."""
