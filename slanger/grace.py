"""News of an end, held back: who returns soon was never gone."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Grace:
    """Endings that are not told yet.

    :param seconds: for which an ending is held back.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._held: dict[Hashable, IDelayedCall] = {}
        self._stopped = False

    def gone(self, who: Hashable, tell: Callable[[], None]) -> None:
        """Tell of an end when the time is over, unless `back` comes first."""
        self.back(who)
        if not self._stopped:
            self._held[who] = self._clock.callLater(self._seconds, self._tell, who, tell)

    def back(self, who: Hashable) -> bool:
        """Tell whether an end was still held back. It is forgotten, and so should be this beginning."""
        held = self._held.pop(who, None)
        if held is None:
            return False
        held.cancel()
        return True

    def hurry(self) -> None:
        """Tell all endings now."""
        for call in tuple(self._held.values()):
            call.reset(0)

    def stop(self) -> None:
        """Tell nothing more, whatever ends from now on."""
        self._stopped = True
        for who in tuple(self._held):
            self.back(who)

    def __contains__(self, who: Hashable) -> bool:
        return who in self._held

    def _tell(self, who: Hashable, tell: Callable[[], None]) -> None:
        del self._held[who]
        tell()
