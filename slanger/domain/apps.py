"""Apps: the tenants of a server. Each has its own key, secret, channels, switches and limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

from slanger.domain.webhooks import Endpoint
from slanger.protocol.errors import CONNECTION_UNAUTHORIZED
from slanger.protocol.names import UNLIMITED
from slanger.protocol.rules import Rules

ESCAPED = 6
"""Bytes that JSON may make of one."""

AROUND = 64 * 1024
"""Bytes around the data of a message or a request, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App(Rules):
    """One app. It is one object for as long as it is served: new settings go into that, and whoever holds it has them.

    :param enabled: whether it is served; if not, its clients are closed with 4003, and its requests refused.
    :param id: the id in REST paths; None accepts any.
    :param webhooks: where the app is told what happens.
    :param connections: how many clients may be connected to one node at the same time.
    :param requests_per_second: REST requests that one node answers in a second.
    :param origins: from which web pages clients may come, see `slanger.domain.origins`; empty for any.
    :param require_origin: whether clients that name no origin are refused, where `origins` are given.
    :param authorized_connections: whether clients must sign in, or join a channel that needs authorisation, in time.
    :param authorization_timeout: how many seconds they have for it.
    :param termination_code: the close code of connections that the app terminates; clients stay away after 4009, and
        come back at once after 4200.
    """

    enabled: bool = True
    id: str | None = None
    webhooks: tuple[Endpoint, ...] = ()
    connections: int = UNLIMITED
    requests_per_second: int = UNLIMITED
    origins: tuple[str, ...] = ()
    require_origin: bool = False
    authorized_connections: bool = False
    authorization_timeout: int = 30
    termination_code: int = CONNECTION_UNAUTHORIZED.number

    @property
    def message_bytes(self) -> int:
        """Bytes of the largest message a client may have to send: its data or its member, each byte escaped sixfold."""
        return ESCAPED * max(self.event_data_bytes, self.presence_member_bytes) + AROUND

    @property
    def body_bytes(self) -> int:
        """Bytes of the largest REST request: a full batch, each byte escaped sixfold."""
        return ESCAPED * self.event_data_bytes * self.batch_events + AROUND

    @property
    def label(self) -> str:
        """What tells it apart in metrics and logs: its id, or its key where it takes any id."""
        return self.id or self.key

    def answers_to(self, app_id: str) -> bool:
        """Whether REST paths with this id mean this app."""
        return self.id is None or self.id == app_id


@dataclass(frozen=True, slots=True)
class Changes:
    """What is other about the apps than before."""

    added: tuple[App, ...] = ()
    changed: tuple[App, ...] = ()
    removed: tuple[App, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Apps:
    """The directory of apps.

    :ivar message_bytes: bytes of the largest message a client of any of them may have to send.
    :ivar body_bytes: bytes of the largest REST request to any of them.
    :raises ValueError: two apps share a key.
    """

    message_bytes: int
    body_bytes: int

    def __init__(self, apps: Iterable[App]) -> None:
        self._by_key: dict[str, App] = {}
        self._former: dict[str, App] = {}
        self.swap(apps)

    def with_key(self, key: str) -> App | None:
        """Find an app by its key."""
        return self._by_key.get(key)

    def any_answers_to(self, app_id: str) -> bool:
        """Whether REST paths with this id mean some app here."""
        return any(app.answers_to(app_id) for app in self._by_key.values())

    def __iter__(self) -> Iterator[App]:
        return iter(tuple(self._by_key.values()))

    def swap(self, apps: Iterable[App]) -> Changes:
        """Serve these apps from now on, all in one step.

        An app that is there already takes the new settings over; so does one that comes back, as connections and
        channels may still hold it. One that is removed has nowhere to be told anything any more.

        :raises ValueError: two of them share a key; nothing is changed then.
        """
        wanted: dict[str, App] = {}
        for app in apps:
            if app.key in wanted:
                raise ValueError(f"two apps have the key {app.key!r}; each needs its own")
            wanted[app.key] = app
        before = self._by_key
        removed = tuple(app for key, app in before.items() if key not in wanted)
        changed = tuple(app for key, app in before.items() if key in wanted and wanted[key] != app)
        for app in removed:
            _write(replace(app, webhooks=()), app)
        self._former |= {app.key: app for app in removed}
        self._by_key = {key: self._taken_over(app) for key, app in wanted.items()}
        self.message_bytes = max((app.message_bytes for app in self), default=0)
        self.body_bytes = max((app.body_bytes for app in self), default=0)
        return Changes(tuple(app for key, app in self._by_key.items() if key not in before), changed, removed)

    def _taken_over(self, new: App) -> App:
        app = self._by_key.get(new.key) or self._former.pop(new.key, new)
        _write(new, app)
        return app


def _write(new: App, app: App) -> None:
    """Write all that an app says into another with the same key. Apps are frozen for everybody but their directory."""
    for each in fields(App):
        object.__setattr__(app, each.name, getattr(new, each.name))
