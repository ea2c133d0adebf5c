"""Apps: the tenants of a server. Each has its own key, secret, channels, switches and limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slanger.protocol.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class App(Rules):
    """One app.

    :param id: the id in REST paths; None accepts any.
    """

    id: str | None = None

    def answers_to(self, app_id: str) -> bool:
        """Whether REST paths with this id mean this app."""
        return self.id is None or self.id == app_id


class Apps:
    """The directory of apps.

    :raises ValueError: two apps share a key.
    """

    def __init__(self, apps: Iterable[App]) -> None:
        self._by_key: dict[str, App] = {}
        for app in apps:
            if app.key in self._by_key:
                raise ValueError(f"two apps have the key {app.key!r}; each needs its own")
            self._by_key[app.key] = app

    def with_key(self, key: str) -> App | None:
        """Find an app by its key."""
        return self._by_key.get(key)

    def any_answers_to(self, app_id: str) -> bool:
        """Whether REST paths with this id mean some app here."""
        return any(app.answers_to(app_id) for app in self._by_key.values())
