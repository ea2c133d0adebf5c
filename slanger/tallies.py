"""What is counted from the start of a process on: plain numbers, read when somebody asks for metrics.

Counting is one addition to a dict, so that the hot ways can afford it. Every tally here becomes a metric of its name.
"""

from __future__ import annotations

from collections import Counter


class Tally(Counter[tuple[str, ...]]):
    """A number for each combination of labels that has come up; `tally["1", "origin"] += 1` counts.

    :param text: what is counted, in a sentence.
    :param labels: what tells the numbers apart, such as ``app`` and ``reason``; each has few values.
    """

    def __init__(self, text: str, *labels: str) -> None:
        super().__init__()
        self.text = text
        self.labels = labels


class Tallies:
    """Every tally of a node."""

    def __init__(self) -> None:
        self.connections_refused = Tally("Connections that were not let in.", "app", "reason")
        self.connections_sent_away = Tally(
            "Connections that were closed since their app was removed or disabled.", "app", "code"
        )
        self.reloads = Tally("Times the settings were to be read again.", "outcome")
        self.certificates = Tally("Times changed files of the certificate were read.", "outcome")
