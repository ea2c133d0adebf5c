"""What settings mean, in words, for `--check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from slanger.domain.apps import App
from slanger.domain.limits import Limits
from slanger.protocol.names import UNLIMITED


def explain_app(app: App) -> Iterator[str]:
    """Describe an app, a line for each thing that was chosen; never its secret."""
    yield f"app {app.key} (REST paths with {'any id' if app.id is None else f'the id {app.id}'})"
    for each in fields(app):
        value = getattr(app, each.name)
        if each.name not in ("key", "secret", "id", "webhooks") and value != each.default:
            yield f"  {each.name.replace('_', '-')}: {_words(value)}"
    for webhook in app.webhooks:
        yield f"  webhooks to {webhook.shown}: {', '.join(sorted(webhook.kinds))}"
        if webhook.channels != ("*",):
            yield f"    only of channels {', '.join(webhook.channels)}"
        if webhook.batch:
            yield "    several events in a request"


def explain_limits(limits: Limits) -> Iterator[str]:
    """Tell each limit of the node that was chosen."""
    for each in fields(limits):
        value = getattr(limits, each.name)
        if value != each.default:
            yield f"{each.name.replace('_', '-')}: {_words(value)}"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "none" if value == UNLIMITED else str(value)
