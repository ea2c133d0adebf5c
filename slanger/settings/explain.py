"""What an app's settings mean, in words, for `--check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from slanger.domain.apps import App


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


def _words(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
