"""How the node is, for balancers and people: unauthenticated, and cheap."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import Answer, Api, Leaf, Reply, json_text, plain_text


class Health(Leaf):
    """`/health`: 200 while the node serves; `degraded` says what is amiss, and since when."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def answer(self, request: SignedRequest) -> Reply:
        """Tell how the node is; nobody has to sign for that."""
        if request.method not in ("GET", "HEAD"):
            return plain_text(405, "405 METHOD NOT ALLOWED: this path takes GET", "GET")
        return json_text(self._state())

    def _state(self) -> Answer:
        reasons = list(self._reasons())
        return {"status": "degraded", "reasons": reasons} if reasons else {"status": "ok"}

    def _reasons(self) -> Iterator[Answer]:
        for reason, since in (
            ("cut off from Redis: this node and the others do not hear each other", self._api.cut_off_since()),
            ("too little memory: no client is let in until there is more", self._api.strained_since()),
        ):
            if since is not None:
                yield {"reason": reason, "since": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")}
