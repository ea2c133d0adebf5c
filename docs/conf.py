"""How Sphinx builds these pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from slanger import __version__
from slanger.services.metrics import described
from slanger.settings.help import default, groups, spelling
from slanger.settings.options import OPTIONS, Option, Switch

project = "slanger"
copyright = "The slanger authors"
version = release = __version__
extensions: list[str] = []
exclude_patterns = ["_build", "tutorial/chat"]
html_theme = "furo"
html_title = f"slanger {version}"
nitpicky = True
smartquotes_action = "qe"  # quotes and ellipses, not dashes: those are of options
man_pages = [("man/slanger", "slanger", "a server for the Pusher Channels protocol", "", 1)]


class OptionTables(Directive):
    """`.. slanger-options::` is every option, group by group, from the code that reads them.

    `:form:` is `table`, or `list` for the manual page.
    """

    option_spec: ClassVar[dict[str, Callable[[str], str]]] = {"form": str}

    def run(self) -> list[nodes.Node]:
        """Write them as text, and have it parsed."""
        lines: list[str] = []
        for group in groups():
            lines += ["", f".. rubric:: {group.title}", ""]
            if self.options.get("form") == "list":
                lines += [line for option in group.options for line in _item(option)]
            else:
                lines += [".. list-table::", "   :header-rows: 1", "   :widths: 35 15 10 40", ""]
                lines += ["   * - option", "     - default", "     - changed by", "     - meaning"]
                lines += [line for option in group.options for line in _row(option)]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, "options"), self.content_offset, parent)
        return parent.children


class MetricTable(Directive):
    """`.. slanger-metrics::` is the table of every metric, from the code that makes them."""

    def run(self) -> list[nodes.Node]:
        """Write the table as text, and have it parsed."""
        lines = [".. list-table::", "   :header-rows: 1", "", "   * - metric", "     - labels", "     - meaning"]
        for figure in sorted(described(), key=lambda figure: figure.called):
            labels = ", ".join(f"``{label}``" for label in figure.labels) or "none"
            name, kind = f"``{figure.called}``", "" if figure.kind == "counter" else f" ({figure.kind})"
            lines += [f"   * - {name}{kind}", f"     - {labels}", f"     - {figure.text}"]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, "metrics"), self.content_offset, parent)
        return parent.children


def _row(option: Option | Switch) -> list[str]:
    others = [f"--{name}" for name in getattr(option, "spellings", ())]
    names = ", ".join(f"``{name}``" for name in (*spelling(option).split(", "), *others))
    return [
        f"   * - {names}",
        f"     - {f'``{default(option)}``' if default(option) else 'none'}",
        f"     - {'SIGHUP' if option.of_app or option.live else 'restart'}",
        f"     - {option.help}",
    ]


def _item(option: Option | Switch) -> list[str]:
    text = f"{option.help} [{default(option)}]" if default(option) else option.help
    return [", ".join(f"**{name}**" for name in spelling(option).split(", ")), f"    {text}", ""]


class LimitTable(Directive):
    """`.. slanger-limits::` is a table of limits: the name of each option, what happens beyond it, and the metric.

    The default and the meaning come from the code. A name that is no option fails the build.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Write the table as text, and have it parsed."""
        options = {option.name: option for option in OPTIONS}
        lines = [".. list-table::", "   :header-rows: 1", ""]
        lines += ["   * - option", "     - default", "     - limits", "     - beyond it", "     - metric"]
        for name, beyond, metric in limit_rows(self.content):
            option = options[name]
            text = option.help.partition(" [")[0].rstrip(".")
            lines += [f"   * - ``--{name}``", f"     - {_shown(option)}", f"     - {text}."]
            lines += [f"     - {beyond}", f"     - ``{metric}``" if "{" in metric else f"     - {metric}"]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, "limits"), self.content_offset, parent)
        return parent.children


def _shown(option: Option) -> str:
    found = re.search(r"\[(.*)\]", option.help)
    return f"``{option.default}``" if option.default else found[1] if found else "none"


def limit_rows(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Read name, what happens and metric from the text of a `slanger-limits`."""
    name, said = "", list[str]()
    for line in (*lines, "end"):
        if line.startswith(" "):
            said.append(line.strip())
        elif line:
            if name:
                yield name, " ".join(said[:-1]), said[-1]
            name, said = line, []


def setup(app: Sphinx) -> None:
    """Make the directives known."""
    app.add_directive("slanger-options", OptionTables)
    app.add_directive("slanger-metrics", MetricTable)
    app.add_directive("slanger-limits", LimitTable)
