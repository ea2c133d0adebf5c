"""How Sphinx builds these pages."""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx

from slanger import __version__
from slanger.settings import OPTIONS, SWITCHES
from slanger.settings.options import Option, Switch

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
        lines = [".. list-table::", "   :header-rows: 1", ""]
        lines += _row("option", "default", "changed by", "meaning")
        for option in OPTIONS:
            spellings = [f"--{spelling}" for spelling in (option.name, *option.spellings)]
            names = [f"-{option.short}"] * bool(option.short) + spellings
            default = f"``{option.default}``" if option.default else "none"
            lines += _row(", ".join(f"``{name}``" for name in names), default, _changed_by(option), option.help)
        for switch in SWITCHES:
            names = [f"-{switch.short}"] * bool(switch.short) + [f"--{switch.name}", f"--no-{switch.name}"]
            state = "on" if switch.default else "off"
            lines += _row(", ".join(f"``{name}``" for name in names), state, _changed_by(switch), switch.help)
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, "options"), self.content_offset, parent)
        return parent.children


def _row(first: str, *others: str) -> list[str]:
    """Write a row of the table."""
    return [f"   * - {first}", *(f"     - {each}" for each in others)]


def _changed_by(option: Option | Switch) -> str:
    """Tell whether an option can change without a restart."""
    return "SIGHUP" if option.of_app or option.live else "restart"


def setup(app: Sphinx) -> None:
    """Make the directive known."""
    app.add_directive("slanger-options", OptionTable)
