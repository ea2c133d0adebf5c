"""How the node is, for balancers and people: unauthenticated, and cheap."""

from __future__ import annotations

from datetime import UTC, datetime

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import Amiss, Answer, Api, Leaf, Reply, json_text, plain_text

CUT_OFF = "cut off from Redis: this node and the others do not hear each other"


class _Open(Leaf):
    """A path that nobody has to sign for."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api

    def answer(self, request: SignedRequest) -> Reply:
        """Tell how the node is."""
        if request.method not in ("GET", "HEAD"):
            return plain_text(405, "405 METHOD NOT ALLOWED: this path takes GET", "GET")
        return self.tell()

    def tell(self) -> Reply:
        """Answer."""
        raise NotImplementedError


class Ready(_Open):
    """`/ready`: 200 while clients may be sent to this node, 503 with the reason while it starts or stops."""

    def tell(self) -> Reply:
        """Answer."""
        reason = self._api.unready()
        if reason is None:
            return json_text({"ready": True})
        return json_text({"ready": False, "reason": reason}, 503)


class Health(_Open):
    """`/health`: 200 while the node serves; `degraded` says what is amiss, and since when."""

    def tell(self) -> Reply:
        """Answer."""
        return json_text(self._state())

    def _state(self) -> Answer:
        amiss = list(self._api.amiss())
        since = self._api.cut_off_since()
        if since is not None:
            amiss.insert(0, Amiss("cut_off", CUT_OFF, since))
        if not amiss:
            return {"status": "ok"}
        return {"status": "degraded", "reasons": [_told(each) for each in amiss]}


def _told(amiss: Amiss) -> Answer:
    since = datetime.fromtimestamp(amiss.since, UTC).isoformat(timespec="seconds")
    return {"code": amiss.code, "reason": amiss.reason, "since": since}
