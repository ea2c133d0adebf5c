"""How this process is: looked at once a second, told by `/health` and in metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from slanger.tallies import Histogram

INTERVAL = 1.0
"""Seconds between two looks."""

LATE = 0.5
"""Seconds that the event loop may be late; beyond that, clients wait too."""

REMEMBERED = 10
"""Looks for which it is remembered that the loop was late."""

LAG = "the event loop is late: this process has more to do than one core can"


class Vitals(Service):
    """Measure how late the event loop is, and watch what may go amiss.

    :param lag: takes what is measured.
    :param watched: tells, for each thing that may be amiss, whether it is; by a code and in words.
    """

    name = "vitals"
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, lag: Histogram, watched: Mapping[tuple[str, str], Callable[[], bool]]
    ) -> None:
        self._clock = clock
        self._lag = lag
        self._watched = {("loop_lag", LAG): self._is_late, **watched}
        self._lags: deque[float] = deque(maxlen=REMEMBERED)
        self._since: dict[tuple[str, str], float] = {}
        self._next: IDelayedCall | None = None

    @property
    def codes(self) -> Sequence[str]:
        """Name what is watched."""
        return [code for code, _ in self._watched]

    def amiss(self) -> Sequence[tuple[str, str, float]]:
        """Tell what is amiss: its code, in words, and since when, in seconds of the clock."""
        return [(code, reason, since) for (code, reason), since in self._since.items()]

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._look_later()

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look_later(self) -> None:
        self._next = self._clock.callLater(INTERVAL, self._look, self._clock.seconds() + INTERVAL)

    def _look(self, due: float) -> None:
        now = self._clock.seconds()
        self._lags.append(max(0.0, now - due))
        self._lag.observe(self._lags[-1])
        for (code, reason), is_amiss in self._watched.items():
            place = code, reason
            if not is_amiss():
                if self._since.pop(place, None) is not None:
                    self._log.info("no longer degraded: {code}", event="recovered", code=code)
            elif place not in self._since:
                self._since[place] = now
                self._log.warn("degraded: {reason}", event="degraded", code=code, reason=reason)
        self._look_later()

    def _is_late(self) -> bool:
        return any(lag >= LATE for lag in self._lags)
