"""What came out, for people: a table for the terminal, a page for the documentation; and for programs, JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import FAULTS, Results, Row
from tests.benchmarks.load import Sizes
from tests.benchmarks.workloads import Workload

NONE = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a reader must know.

    :param facts: machine, versions, servers, by what they are called.
    :param servers: names of the columns; the first is compared with each of the others.
    """

    facts: Mapping[str, str]
    servers: Sequence[str]
    workloads: Sequence[Workload]
    sizes: Sizes
    results: Results

    def text(self) -> str:
        """Write a table for the terminal."""
        lines = [*(f"{name:<12}{value}" for name, value in self.facts.items()), ""]
        table = [(None, self._columns("")), *((title, cells) for title, _, cells in self._tables())]
        widths = [max(len(cells[column]) for _, cells in table) for column in range(len(table[0][1]))]
        last = None
        for title, cells in table:
            if title != last:
                lines += ["", title or ""]
                last = title
            first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            lines.append(f"  {first}  " + "  ".join(others).rstrip())
        faults = self.results.faults()
        if faults:
            lines += ["", "!! NOT AS IT SHOULD BE:", *(f"!! {fault}" for fault in faults)]
        return "\n".join(lines) + "\n"

    def rst(self, plot: str | None) -> str:
        """Write a page for the documentation.

        :param plot: the image, as it is reached from the page.
        """
        lines = [
            _heading("Benchmark results"),
            "Written by ``tests/benchmarks``; :doc:`benchmarks` tells how to read it.",
            "",
        ]
        lines += [".. list-table::", "   :stub-columns: 1", ""]
        for name, value in self.facts.items():
            lines += [f"   * - {name}", f"     - ``{value}``"]
        if plot is not None:
            lines += [
                "",
                f".. image:: {plot}",
                "   :alt: Cost against size, of each server; the tables below have the values.",
            ]
        if faults := self.results.faults():
            lines += ["", ".. warning::", "", *(f"   * ``{fault}``" for fault in faults)]
        last = None
        for title, name, cells in self._tables():
            if title != last:
                lines += ["", _heading(title, "-"), ".. list-table::", "   :header-rows: 1", ""]
                lines += _cells(self._columns(f"``{name}``"))
                last = title
            lines += _cells(cells)
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """Write every value of every run."""
        return json.dumps(
            {
                "facts": dict(self.facts),
                "servers": list(self.servers),
                "figures": [
                    {"workload": row.workload, "name": row.name, "unit": row.unit, "at": row.at, "values": row.values}
                    for row in self.results.rows.values()
                ],
                "faults": self.results.faults(),
            },
            indent=1,
            ensure_ascii=False,
        )

    def write(self, path_json: Path | None, path_rst: Path | None, plot: Path | None) -> None:
        """Write the files that were asked for."""
        if path_json is not None:
            path_json.write_text(self.json(), encoding="utf-8")
        if path_rst is not None:
            image = None if plot is None else os.path.relpath(plot, path_rst.parent)
            path_rst.write_text(self.rst(image), encoding="utf-8")

    def _columns(self, first: str) -> list[str]:
        ours, *others = self.servers
        return [first, *self.servers, *(f"{ours} / {other}" for other in others)]

    def _tables(self) -> Iterator[tuple[str, str, list[str]]]:
        """Give title and name of the workload and the cells of each row."""
        ours, *others = self.servers
        for workload in self.workloads:
            for row in self.results.of(workload.name):
                ratios = [NONE if row.name in FAULTS else _number(row.ratio(ours, other)) for other in others]
                cells = [row.label, *(_spread(row, server) for server in self.servers), *ratios]
                yield workload.title(self.sizes), workload.name, cells


def _spread(row: Row, server: str) -> str:
    """Write the median, and the least and the most."""
    values = row.values.get(server)
    if not values:
        return NONE
    if row.name in FAULTS:
        return f"{sum(values):,.0f}"
    middle = _number(row.median(server))
    return middle if len(values) == 1 else f"{middle}  ({_number(min(values))} … {_number(max(values))})"


def _number(value: float | None) -> str:
    """Write three digits or so."""
    if value is None:
        return NONE
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or not value else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _cells(cells: Sequence[str]) -> list[str]:
    return [f"   {'* -' if not number else '  -'} {cell}".rstrip() for number, cell in enumerate(cells)]


def _heading(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"
