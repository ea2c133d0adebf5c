"""What `--help` and the manual page say: every option in a group, with what it takes and its default."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import NamedTuple

from slanger.settings.options import OPTIONS, SWITCHES, Option, Switch

ABOUT = (
    "A server for the Pusher Channels protocol: WebSocket clients connect to it, and apps publish to them through its"
    " REST API. Pusher's own client libraries and server SDKs work with it."
)

EXAMPLES = (
    ("one app on this machine alone", "twistd -n --pidfile= slanger -k my-key --secret-file secret --redis-url none"),
    ("everything in a settings file; try it first", "twistd -n --pidfile= slanger --config slanger.toml --check"),
    ("in the background", "twistd --pidfile=slanger.pid --logfile=slanger.log slanger --config slanger.toml"),
    (
        "behind a proxy on this machine, on four cores",
        "twistd -n --pidfile= slanger --config slanger.toml --workers 4 --trusted-proxies 127.0.0.1",
    ),
)

SOURCES = (
    "Each option can also be given in the environment, as SLANGER_ and its name (SLANGER_APP_KEY=my-key,"
    " SLANGER_CLIENT_EVENTS=no), or in the settings file under its name. The command line overrides the environment,"
    " and the environment the file. Slanger's own spellings with underscores are understood. Options of twistd stand"
    " before the word slanger; `twistd --help` shows them."
)

STATUS = "0: it was told to stop, or --check found all good. 1: it could not start; one sentence on stderr says why."

_COLUMN = 34
"""Where texts begin."""

_TAKES = {"-file": "FILE", "config": "FILE", "-cert": "FILE", "tls-key": "FILE", "-host": "ADDRESS", "-url": "URL"}

_NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The app", ("app-key", "secret", "app-id", "webhook-")),
    ("Where it listens", ("websocket-host", "api-host", "reuse-port", "tls-", "cors-")),
    ("Proxies in front", ("trusted-proxies", "proxy-protocol", "path-prefix")),
    ("Other nodes", ("redis-", "workers", "node-lease", "replay-events", "publish-buffer-bytes")),
)
"""Groups, and how the names in them begin."""


class Group(NamedTuple):
    """Options that belong together."""

    title: str
    options: tuple[Option | Switch, ...]


def groups() -> tuple[Group, ...]:
    """Put every option into one group, those of the table first that name it."""
    left: list[Option | Switch] = [*OPTIONS, *SWITCHES]

    def take(wanted: Callable[[Option | Switch], bool]) -> tuple[Option | Switch, ...]:
        taken = tuple(each for each in left if wanted(each))
        left[:] = [each for each in left if each not in taken]
        return taken

    found = [Group(title, take(lambda each, names=names: each.name.startswith(names))) for title, names in _NAMES]  # type: ignore[misc]
    found.append(Group("What the app allows", take(lambda each: isinstance(each, Switch) and each.of_app)))
    found.append(Group("Limits of the app", take(lambda each: isinstance(each, Option) and each.key is not None)))
    found.append(Group("Time-outs and limits of the node", take(lambda each: isinstance(each, Option) and each.number)))
    return (*found[:1], Group("Running it", tuple(left)), *found[1:])


def spelling(option: Option | Switch) -> str:
    """Write how an option is given, such as `-k, --app-key VALUE` or `--[no-]verbose`."""
    short = f"-{option.short}, " if option.short else ""
    if isinstance(option, Switch):
        return f"{short}--[no-]{option.name}"
    takes = next((word for end, word in _TAKES.items() if option.name.endswith(end)), "N" if option.number else "VALUE")
    return f"{short}--{option.name} {takes}"


def default(option: Option | Switch) -> str | None:
    """Write an option's default, as it would be typed; None where there is none."""
    if isinstance(option, Switch):
        return "on" if option.default else "off"
    return option.default


def usage_text(width: int) -> str:
    """Write what `--help` shows behind the line that says `Usage`."""
    return "\n".join(_lines(width)) + "\n"


def _lines(width: int) -> Iterator[str]:
    yield from ("", *textwrap.wrap(ABOUT, width))
    for group in groups():
        yield from ("", f"{group.title}:")
        for option in group.options:
            yield from _entry(option, width)
    yield from ("", "And:", *_columns("--help, --version", "Show this, or the version, and exit.", width))
    yield from ("", "Examples:")
    for what, command in EXAMPLES:
        yield from (f"  {what}:", f"    {command}")
    yield from ("", *textwrap.wrap(SOURCES, width), "", *textwrap.wrap(f"Exit status {STATUS}", width))


def _entry(option: Option | Switch, width: int) -> list[str]:
    text = option.help if default(option) is None else f"{option.help} [{default(option)}]"
    return _columns(f"{'' if option.short else '    '}{spelling(option)}", text, width)


def _columns(left: str, text: str, width: int) -> list[str]:
    wrapped = textwrap.wrap(text, max(30, width - _COLUMN), break_long_words=False, break_on_hyphens=False)
    first, *others = [f"{'':{_COLUMN}}{line}" for line in wrapped]
    label = f"  {left}"
    if len(label) > _COLUMN - 2:
        return [label, first, *others]
    return [f"{label:{_COLUMN}}{wrapped[0]}", *others]
