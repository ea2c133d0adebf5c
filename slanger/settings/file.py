"""The settings file: TOML, whose keys are the options' names, with a table for each app.

::

    websocket-host = ":8080"

    [[apps]]
    id = "1"
    key = "my-key"
    secret-file = "/etc/slanger/my-app.secret"
    client-events = false

    [[apps.webhooks]]
    url = "https://example.com/hooks"
    events = ["channel_occupied", "channel_vacated"]
    channels = ["presence-*"]
    headers = { X-Team = "chat" }
    batch = true
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from slanger.domain.webhooks import KINDS, PUSHER_KINDS, Endpoint, header_fault, shown_url, url_fault
from slanger.faults import StartupFault
from slanger.settings.options import NONE, OPTIONS, SWITCHES, Option
from slanger.settings.sources import LARGEST, Source


def _kind(option: Option) -> Any:
    """Give the type of an option in the file."""
    if option.several:
        return str | tuple[str, ...]
    number = Annotated[int, Meta(ge=option.least, le=LARGEST)]
    if option.optional:
        return number | Literal[NONE]
    return number if option.number else str


class WebhookTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[apps.webhooks]]`."""

    url: str
    events: tuple[Literal[KINDS], ...] = PUSHER_KINDS  # type: ignore[valid-type]
    channels: tuple[str, ...] = ("*",)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    batch: bool = False

    def endpoint(self) -> Endpoint:
        """Make what the table describes."""
        return Endpoint(
            url=self.url,
            kinds=frozenset(self.events),
            channels=self.channels,
            headers=tuple(self.headers.items()),
            batch=self.batch,
        )


def _field(name: str, kind: Any) -> tuple[str, Any, Any]:
    return (name.replace("-", "_"), kind | UnsetType, UNSET)


_AppTable = msgspec.defstruct(
    "AppTable",
    [
        *(_field(option.key, _kind(option)) for option in OPTIONS if option.key),
        *(_field(switch.name, bool) for switch in SWITCHES if switch.of_app),
        ("webhooks", tuple[WebhookTable, ...], ()),
    ],
    forbid_unknown_fields=True,
    rename="kebab",
)

_File = msgspec.defstruct(
    "File",
    [
        *(_field(option.name, _kind(option)) for option in OPTIONS if not option.of_app and option.name != "config"),
        *(_field(switch.name, bool) for switch in SWITCHES if not switch.of_app and switch.name != "check"),
        ("apps", tuple[_AppTable, ...], ()),  # type: ignore[valid-type]
    ],
    forbid_unknown_fields=True,
    rename="kebab",
)


class SettingsFile:
    """A settings file that was read and checked.

    :param name: of the file; empty where there is none.
    :param node: the options of the node.
    :param apps: for each app its options, and where it is told what happens.
    """

    def __init__(self, name: str, content: Any) -> None:
        self.name = name
        self.node = Source(_given(content), lambda option: f"{name}: {option}")
        self.apps = [
            (_app_source(name, index, table), tuple(webhook.endpoint() for webhook in table.webhooks))
            for index, table in enumerate(content.apps)
        ]


def read_file(origin: str, name: str) -> SettingsFile:
    """Read a settings file, all of it.

    :param origin: where it was named, for the error.

    :raises StartupFault: with the file, the table and the key, what was found and what was expected.
    """
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as fault:
        raise StartupFault(f"{origin} {name}: {fault.strerror or fault}") from None
    except RecursionError:
        raise StartupFault(f"{name}: not TOML that can be read: it is nested too deeply") from None
    except ValueError as fault:  # no TOML, no UTF-8, or a number of thousands of digits
        raise StartupFault(f"{name}: not TOML: {fault}") from None
    try:
        file = SettingsFile(name, msgspec.convert(content, _File))
    except msgspec.ValidationError as fault:
        raise StartupFault(f"{name}: {_words(fault, content)}") from None
    for place, why in _webhook_faults(content):
        raise StartupFault(f"{name}: {place}: {why}")
    return file


def _given(table: Any) -> dict[str, object]:
    """Collect what stands in a table, under the options' own names."""
    values = zip(table.__struct_encode_fields__, astuple(table), strict=True)
    return {name: _plain(value) for name, value in values if value is not UNSET}


def _plain(value: object) -> object:
    """Write an array of texts as it would be typed; other arrays are tables, and read elsewhere."""
    if isinstance(value, tuple):
        return ", ".join(each for each in value if isinstance(each, str))
    return value


def _app_source(name: str, index: int, table: Any) -> Source:
    keys = {option.name: option.key for option in OPTIONS if option.key}
    given = _given(table)
    values = {**given, **{option: given.get(key) for option, key in keys.items()}}
    return Source(values, lambda option: f"{name}: apps[{index}].{keys.get(option, option)}")


def _webhook_faults(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what is wrong with webhooks beyond their types."""
    for index, app in enumerate(content.get("apps", [])):
        for number, webhook in enumerate(app.get("webhooks", [])):
            place = f"apps[{index}].webhooks[{number}]"
            if fault := url_fault(webhook["url"]):
                yield f"{place}.url", f"{fault}, found {shown_url(webhook['url'])!r}"
            for header, value in webhook.get("headers", {}).items():
                if fault := header_fault(header, value):
                    yield f"{place}.headers", fault


def _words(fault: msgspec.ValidationError, content: dict[str, Any]) -> str:
    """Put the place first, and types into the file's own words."""
    text, _, path = str(fault).partition(" - at `$")
    place = path.rstrip("`").lstrip(".") or "at the top"
    for theirs, ours in {
        "`str | array`": "text or an array of texts",
        "`str`": "text",
        "`bool`": "true or false",
        "`int | str`": "a whole number or none",
        "`int`": "a whole number",
        "`array`": "an array",
        "`object`": "a table",
        "`float`": "a number with a fraction",
        "`datetime`": "a date and time",
        "`date`": "a date",
        "`time`": "a time",
        "Object contains unknown field": "unknown key",
        "Object missing required field": "missing key",
    }.items():
        text = text.replace(theirs, ours)
    if "enum value" in text:
        text = f"expected one of {', '.join(KINDS)}" if ".events" in place else "expected a whole number or none"
    return f"{place}: {text[0].lower()}{text[1:]}{_found(place, content)}"


def _found(place: str, content: Any) -> str:
    """Show the value at a place, where it is a plain one that is no secret."""
    for step in re.findall(r"[^.\[\]]+", place):
        try:
            content = content[int(step)] if isinstance(content, list) else content[step]
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
    if isinstance(content, dict | list) or "secret" in place:
        return ""
    return f", found {str(content).lower() if isinstance(content, bool) else repr(content)}"


NO_FILE = SettingsFile("", _File())
"""What stands in for a settings file where there is none."""
