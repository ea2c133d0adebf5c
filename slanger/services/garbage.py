"""Garbage collection without long pauses.

Python frees what nobody refers to at once; its collector only looks for circles, and while it looks the process stands
still: two to six milliseconds for each 1,000 connections. A connection leaves no circle behind unless Autobahn served
it (tests say so), so there is little to find. What is there when the process has started, and each time many more have
come, is therefore frozen: set apart, not looked at, yet freed at once when nobody refers to it. Circles among what was
frozen are looked for when most of it has gone, and once in an hour.
"""

from __future__ import annotations

import gc

THRESHOLDS = (5000, 5, 20)
"""How many more objects have the young looked at; how many of such looks the older, and how many of those all.

Python's own are 700, 10, 10. The young of 5,000 take half a millisecond, the older of 25,000 three; all are looked at
when half a million have come that were not frozen, which bounds what circles may hold.
"""


class Garbage:
    """The collector of this process."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()

    def begin(self) -> None:
        """Look less often, and never at what is there now."""
        gc.set_threshold(*THRESHOLDS)
        gc.collect()
        gc.freeze()

    def settle(self) -> None:
        """Look at what is young, then never again at what is there now."""
        gc.collect(1)
        gc.freeze()

    def look(self) -> None:
        """Look at all that was not set apart."""
        gc.collect()

    def sweep(self) -> None:
        """Look at all of it, once."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def end(self) -> None:
        """Leave the collector as it was."""
        gc.unfreeze()
        gc.set_threshold(*self._before)
