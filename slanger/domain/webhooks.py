"""What an app's webhooks tell, and which of its endpoints wants to hear it ("Webhooks")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from slanger.protocol import signing

PUSHER_KINDS = (
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
)
"""The kinds of event that Pusher's webhooks have; what an endpoint hears if it does not choose."""

OWN_KINDS = ("connection_opened", "connection_closed")
"""Kinds beyond Pusher's; an endpoint hears them only if it names them."""

KINDS = PUSHER_KINDS + OWN_KINDS


RESERVED_HEADERS = ("content-type", "content-length", "transfer-encoding", "host", "connection", "x-pusher-")
"""Beginnings of headers that an endpoint may not set itself: SDKs, or HTTP, depend on them."""


def url_fault(url: str) -> str | None:
    """Say what is wrong with an endpoint's URL, or None."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not re.fullmatch(r"[!-~]+", url) or "@" in urlsplit(url).netloc:
        return "expected a URL with http:// or https://, of ASCII characters and without a user in it"
    return None


def shown_url(url: str) -> str:
    """Show a URL without what may be secret: its user, and its query."""
    return re.sub(r"(?<=//)[^/]*@", "***@", url.partition("?")[0])


def header_fault(name: str, value: str) -> str | None:
    """Say what is wrong with a header of an endpoint, or None; its value may be a token, and is not repeated."""
    if not re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", name) or not re.fullmatch(r"[\t -~]*", value):
        return f"{name!r} is not an HTTP header of ASCII characters"
    if name.lower().startswith(RESERVED_HEADERS):
        return f"{name!r} is a header that slanger sets itself"
    return None


class Occurrence(Struct, frozen=True, kw_only=True):
    """One event of a webhook; members left unset are left out. Server SDKs read `channel` in every one of them.

    :param data: of a client event; always a string.
    :param time_ms: when a connection was opened or closed, in milliseconds since 1970.
    :param code: with which a connection was closed.
    """

    name: str
    channel: str = ""
    user_id: str | UnsetType = UNSET
    event: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    socket_id: str | UnsetType = UNSET
    subscription_count: int | UnsetType = UNSET
    time_ms: int | UnsetType = UNSET
    code: int | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an app is told.

    :param kinds: the kinds of event it wants.
    :param channels: patterns such as ``presence-*``, one of which the channel's name must match.
    :param headers: sent with each request, beside those of the protocol.
    :param batch: whether one request may carry several events.
    """

    url: str
    kinds: frozenset[str] = frozenset(PUSHER_KINDS)
    channels: tuple[str, ...] = ("*",)
    headers: tuple[tuple[str, str], ...] = ()
    batch: bool = False

    @property
    def shown(self) -> str:
        """The URL without what may be secret."""
        return shown_url(self.url)

    def wants(self, occurrence: Occurrence) -> bool:
        """Whether this endpoint is to hear of it."""
        if occurrence.name not in self.kinds:
            return False
        return not occurrence.channel or any(fnmatchcase(occurrence.channel, each) for each in self.channels)


@dataclass(frozen=True, slots=True)
class Hook:
    """One request, ready to be sent as often as it takes: its time is that of the first attempt.

    :param time_ms: milliseconds since 1970; receivers take a much older one for a forgery.
    :param headers: all of them; `Content-Type` must be exactly this, as SDKs compare it.
    """

    time_ms: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    events: int


class _Body(Struct, frozen=True):
    time_ms: int
    events: Sequence[Occurrence | Raw]


def make_hook(key: str, secret: str, endpoint: Endpoint, events: Sequence[Occurrence | Raw], now: float) -> Hook:
    """Write a request and sign it.

    :param events: as they are, or as JSON already.
    """
    time_ms = int(now * 1000)
    body = msgspec.json.encode(_Body(time_ms, events))
    headers = (
        *(header for header in endpoint.headers if header_fault(*header) is None),
        ("Content-Type", "application/json"),
        ("X-Pusher-Key", key),
        ("X-Pusher-Signature", signing.sign(secret, body.decode())),
    )
    return Hook(time_ms, body, headers, len(events))
