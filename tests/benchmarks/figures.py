"""What is measured, and what several runs of it make."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

LOST = "lost"
EXTRA = "delivered though not published"
REFUSED = "publishes refused"
CUT_OFF = "subscribers cut off"
LEFT = "channels left over"
FAULTS = frozenset((LOST, EXTRA, REFUSED, CUT_OFF, LEFT))
"""Figures that should be nothing; where they are not, the report says so aloud, and the exit status is 1."""

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    :param unit: of the value, as it is printed.
    :param at: the size it belongs to, such as the number of subscribers, where the workload measures several.
    """

    name: str
    unit: str
    value: float
    at: int | None = None

    @property
    def label(self) -> str:
        """Name, unit and size."""
        return self.name + (f" at {self.at:,}" if self.at is not None else "") + (f", {self.unit}" if self.unit else "")


def percentiles(name: str, seconds: Sequence[float], at: int | None = None) -> list[Figure]:
    """Give the percentiles of durations, in milliseconds; none of none."""
    if not seconds:
        return []
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return [
        Figure(f"{name} {label}", "ms", ordered[math.ceil(last * share)] * 1e3, at)
        for label, share in PERCENTILES.items()
    ]


@dataclass
class Row:
    """One figure of one workload, of every server.

    :param values: of each server by its name, in the order of the runs.
    """

    workload: str
    label: str
    name: str
    unit: str
    at: int | None
    values: dict[str, list[float]] = field(default_factory=dict)

    def median(self, server: str) -> float | None:
        """Give the median of a server's runs; None where it was not measured."""
        values = self.values.get(server)
        return median(values) if values else None

    def ratio(self, server: str, other: str) -> float | None:
        """Give the median of the ratios of the runs: what both measured in the same turn is compared."""
        pairs = zip(self.values.get(server, ()), self.values.get(other, ()), strict=False)
        ratios = [ours / theirs for ours, theirs in pairs if theirs]
        return median(ratios) if ratios else None


@dataclass
class Results:
    """Everything that was measured, in the order of the workloads."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Workloads that could not be run, in sentences."""

    def add(self, workload: str, server: str, figures: Iterable[Figure]) -> None:
        """Take what one run gave."""
        for each in figures:
            key = workload, each.label
            if key not in self.rows:
                self.rows[key] = Row(workload, each.label, each.name, each.unit, each.at)
            self.rows[key].values.setdefault(server, []).append(each.value)

    def of(self, workload: str) -> list[Row]:
        """Give the rows of a workload."""
        return [row for row in self.rows.values() if row.workload == workload]

    def faults(self) -> list[str]:
        """Say what should not have been, in sentences."""
        return self.failures + [
            f"{server}, {row.workload}: {sum(values):,.0f} {row.unit} {row.name}".replace("  ", " ")
            for row in self.rows.values()
            if row.name in FAULTS
            for server, values in row.values.items()
            if sum(values)
        ]
