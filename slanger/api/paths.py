"""The paths of the API."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.web.resource import Resource
from twisted.web.server import Request

from slanger.api.batch import BatchEvents
from slanger.api.channels import Channel, Channels
from slanger.api.endpoint import Api, Leaf, Nowhere
from slanger.api.events import ChannelEvents, Events
from slanger.api.health import Health, Ready
from slanger.api.metrics import Metrics
from slanger.api.users import ChannelUsers, TerminateConnections

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
        prefix = self._api.path_prefix
        if path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
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
            case ["metrics"] if self._api.scrape is not None:
                return Metrics(self._api.scrape)
            case ["ready"]:
                return Ready(self._api)
            case ["users", user_id, "terminate_connections"]:  # the Python SDK leaves the app out
                return TerminateConnections(self._api, None, user_id)
        return Nowhere()


class MetricsRoot(Root):
    """The paths of a port that is for metrics alone."""

    def _find(self, path: str) -> Leaf:
        return super()._find(path) if path in ("/metrics", "/health", "/ready") else Nowhere()
