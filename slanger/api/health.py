"""How the node is, for balancers and people: unauthenticated, and cheap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from twisted.web.resource import Resource
from twisted.web.server import Request

from slanger.api.endpoint import Api, reply, write


class Health(Resource):
    """`/health`: 200 while the node serves; `degraded` says what is amiss, and since when."""

    isLeaf = True

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def render(self, request: Request) -> Any:
        """Tell how the node is."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET")
            return reply(request, 405, "405 METHOD NOT ALLOWED: this path takes GET")
        return write(request, 200, "application/json", msgspec.json.encode(self._state()))

    def _state(self) -> dict[str, object]:
        since = self._api.cut_off_since()
        if since is None:
            return {"status": "ok"}
        reason = {
            "reason": "cut off from Redis: this node and the others do not hear each other",
            "since": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds"),
        }
        return {"status": "degraded", "reasons": [reason]}
