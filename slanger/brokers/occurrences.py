"""What a node tells the app by itself: with grace, so that who returns soon was never gone ("Webhooks", delays)."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from slanger.domain.apps import App
from slanger.domain.webhooks import Occurrence
from slanger.grace import Grace
from slanger.interfaces import INode
from slanger.protocol.names import GRACE, is_inbox

BEGINNINGS = {"channel_vacated": "channel_occupied", "member_removed": "member_added"}
"""What each ending undoes, and is undone by."""


class LocalOccurrences:
    """Tell the app what this node alone has decided; endings are held back for the grace."""

    node: INode

    def __init__(self, clock: IReactorTime) -> None:
        self._grace = Grace(clock, GRACE)

    def began(self, app: App, occurrence: Occurrence) -> None:
        """Tell of a beginning, unless its end was not told yet."""
        if self._wanted(app, occurrence) and not self._grace.back(self._who(app, occurrence)):
            self.node.happened(app, occurrence)

    def ended(self, app: App, occurrence: Occurrence) -> None:
        """Tell of an end, if nobody returns in time."""
        if self._wanted(app, occurrence):
            self._grace.gone(self._who(app, occurrence), lambda: self.node.happened(app, occurrence))

    def hurry(self) -> None:
        """Tell all endings at once: others decide from now on who comes back."""
        self._grace.hurry()

    def stop(self) -> None:
        """Tell nothing more."""
        self._grace.stop()

    def _wanted(self, app: App, occurrence: Occurrence) -> bool:
        return bool(app.webhooks) and not is_inbox(occurrence.channel)

    def _who(self, app: App, occurrence: Occurrence) -> tuple[object, ...]:
        name = BEGINNINGS.get(occurrence.name, occurrence.name)
        return app.key, name, occurrence.channel, occurrence.user_id
