"""Cost against size, as a picture.

matplotlib draws it: it has done so for twenty years, needs no browser and no service, and writes SVG that a page of
documentation can hold. Only this room knows it, and only runs that draw need it (`pip install -e '.[bench]'`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.faults import Fault
from tests.benchmarks.figures import Results

KINDS = (".svg", ".png", ".pdf")


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the pictures: a figure of a workload by size."""

    workload: str
    figure: str
    title: str
    size: str
    logarithmic: bool = False


PANELS = (
    Panel("curve", "CPU per delivery", "one event to N subscribers", "subscribers", logarithmic=True),
    Panel("presence", "CPU per join", "users join one presence channel", "members present"),
    Panel("presence", "CPU per message", "the same, for each message that it takes", "members present"),
    Panel("leave", "CPU per connection", "N connections are lost at once", "connections", logarithmic=True),
)


def check(path: Path) -> None:
    """See whether a picture can be drawn, before hours are spent on its figures.

    :raises Fault: it cannot.
    """
    if path.suffix not in KINDS:
        raise Fault(f"cannot draw {path}: its name should end in one of {', '.join(KINDS)}")
    try:
        import matplotlib  # noqa: F401, PLC0415 - only those who want a picture have it
    except ImportError:
        raise Fault("drawing needs matplotlib: pip install -e '.[bench]', or give --no-plot") from None


def draw(results: Results, servers: Sequence[str], path: Path) -> bool:
    """Draw what was measured by size; tell whether there was anything.

    Points are medians, the bars behind them go from the least to the most.
    """
    import matplotlib as mpl  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415

    panels = [panel for panel in PANELS if any(_points(results, panel, server) for server in servers)]
    if not panels:
        return False
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "slanger", "font.size": 9}):
        figure = Figure(figsize=(4 * len(panels), 3.4), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            ticks: set[int] = set()
            for server in servers:
                if not (points := _points(results, panel, server)):
                    continue
                sizes, middles = [at for at, *_ in points], [middle for _, middle, *_ in points]
                below = [middle - least for _, middle, least, _ in points]
                above = [most - middle for _, middle, _, most in points]
                ticks.update(sizes)
                axes.errorbar(sizes, middles, (below, above), marker="o", capsize=3, label=server)
            axes.set_title(panel.title)
            axes.set_xlabel(panel.size)
            axes.set_ylabel(f"{panel.figure}, µs")
            axes.set_ylim(bottom=0)
            if panel.logarithmic:
                axes.set_xscale("log")
            axes.set_xticks(sorted(ticks), [f"{each:,}" for each in sorted(ticks)])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
            axes.legend()
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return True


def _points(results: Results, panel: Panel, server: str) -> list[tuple[int, float, float, float]]:
    """Give size, median, least and most."""
    return [
        (row.at, middle, min(row.values[server]), max(row.values[server]))
        for row in results.of(panel.workload)
        if row.name == panel.figure and row.at is not None and (middle := row.median(server)) is not None
    ]
