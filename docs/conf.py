"""How Sphinx builds these pages."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from slanger import __version__
from slanger.services.metrics import described
from slanger.settings import OPTIONS, SWITCHES

project = "slanger"
copyright = "The slanger authors"
version = release = __version__
extensions: list[str] = []
exclude_patterns = ["_build", "tutorial/chat"]
html_theme = "furo"
html_title = f"slanger {version}"
nitpicky = True


class OptionTable(Directive):
    """`.. slanger-options::` is the table of every option, from the code that reads them."""

    def run(self) -> list[nodes.Node]:
        """Write the table as text, and have it parsed."""
        lines = [".. list-table::", "   :header-rows: 1", "", "   * - option", "     - default", "     - meaning"]
        for option in OPTIONS:
            spellings = [f"--{spelling}" for spelling in (option.name, *option.spellings)]
            names = [f"-{option.short}"] * bool(option.short) + spellings
            default = f"``{option.default}``" if option.default else "none"
            lines += [f"   * - {', '.join(f'``{n}``' for n in names)}", f"     - {default}", f"     - {option.help}"]
        for switch in SWITCHES:
            names = [f"-{switch.short}"] * bool(switch.short) + [f"--{switch.name}", f"--no-{switch.name}"]
            state = "on" if switch.default else "off"
            lines += [f"   * - {', '.join(f'``{n}``' for n in names)}", f"     - {state}", f"     - {switch.help}"]
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


def setup(app: Sphinx) -> None:
    """Make the directives known."""
    app.add_directive("slanger-options", OptionTable)
    app.add_directive("slanger-metrics", MetricTable)
