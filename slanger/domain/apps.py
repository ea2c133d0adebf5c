"""Apps: the tenants of a server. Each has its own key, secret, channels, switches and limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    """One app.

    :param id: the id in REST paths; None accepts any.
    :param webhooks: where the app is told what happens.
    :param connections: how many clients may be connected to one node at the same time.
    :param requests_per_second: REST requests that one node answers in a second.
    :param origins: of which web pages clients may come, see `slanger.domain.origins`; empty for any.
    :param require_origin: whether clients that name no origin are refused, where `origins` are given.
    :param authorized_connections: whether clients must sign in, or join a channel that needs authorisation, in time.
    :param authorization_timeout: how many seconds they have for it.
    :param termination_code: the close code of connections that the app terminates; clients stay away after 4009, and
        come back at once after 4200.
    """

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
