"""The pages for people: that they speak of what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slanger.settings import OPTIONS, SWITCHES

ROOT = Path(__file__).parents[1]
OF_TWISTD = {
    "help",
    "version",
    "pidfile",
    "logfile",
    "nodaemon",
    "uid",
    "gid",
    "syslog",
    "logger",
    "umask",
    "rundir",
    "chroot",
}
OF_OTHERS = {"http-01-port", "hostname", "debug", "host", "require", "private_key_file", "cert_file", "config_file"}
OF_OTHERS |= {"webhook_url", "pid_file", "port", "pusher-js"}


OF_OTHER_COMMANDS = {"benchmarks.rst", "benchmarks-results.rst", "fuzzing.rst"}
"""Pages about commands that have options of their own."""


def pages() -> Iterator[Path]:
    """Find every page."""
    yield ROOT / "README.rst"
    yield from (ROOT / "docs").rglob("*.rst")


class OptionTests(SynchronousTestCase):
    """The options that pages name."""

    def test_options_exist(self) -> None:
        """Docs: each option that is named in a sentence, a table or a command of slanger's is one."""
        known = {option.name for option in (*OPTIONS, *SWITCHES)} | OF_TWISTD | OF_OTHERS
        known |= {f"no-{switch.name}" for switch in SWITCHES}
        known |= {name for option in OPTIONS for name in option.spellings}
        known |= {name.replace("-", "_") for name in known}
        found = 0
        for page in pages():
            text = page.read_text(encoding="utf-8")
            if page.name in OF_OTHER_COMMANDS:
                continue
            commands = re.findall(r"twistd\b.*?\bslanger\b(?:[^\n]*\\\n)*[^\n]*", text)
            for place in (*re.findall(r"``(--[^`]+)``", text), *commands):
                for name in re.findall(r"(?<![\w-])--(?:\[no-\])?([a-z][\w-]*)", place):
                    self.assertIn(name, known, f"{page.relative_to(ROOT)}: {place}")
                    found += 1
        self.assertGreater(found, 100)

    def test_variables_exist(self) -> None:
        """Docs: each environment variable that is named is an option's."""
        known = {f"SLANGER_{option.name.upper().replace('-', '_')}" for option in (*OPTIONS, *SWITCHES)} | {"SLANGER_"}
        for page in pages():
            for name in re.findall(r"\bSLANGER_[A-Z_]*", page.read_text(encoding="utf-8")):
                self.assertIn(name, known, page.relative_to(ROOT))


class MapTests(SynchronousTestCase):
    """The maps of the code."""

    def test_rooms_are_named(self) -> None:
        """Docs: each package names its rooms, and the design those that stand beside the packages."""
        design = (ROOT / "docs" / "design" / "index.rst").read_text(encoding="utf-8")
        for package in (ROOT / "slanger").rglob("__init__.py"):
            told = package.read_text(encoding="utf-8")
            for room in (*package.parent.glob("*.py"), *(each.parent for each in package.parent.glob("*/__init__.py"))):
                if room.stem != "__init__":
                    self.assertIn(f"`{room.stem}`", told, package.relative_to(ROOT))
                    if room.is_file() and room.parent.name == "slanger":
                        self.assertIn(f"``{room.stem}``", design)
