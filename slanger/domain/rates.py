"""Rates: so many per second."""

from __future__ import annotations


class Bucket:
    """Lets so many through in a second, and as many at once after a quiet one. It has no timer: who asks, fills it."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left: float | None = None
        self._at = 0.0

    def take(self, per_second: int, now: float) -> bool:
        """Tell whether one more may pass.

        :param now: seconds on any clock; one that is set back fills nothing.
        """
        left = per_second if self._left is None else min(per_second, self._left + max(0.0, now - self._at) * per_second)
        self._at = now
        self._left = left - 1 if left >= 1 else left
        return left >= 1
