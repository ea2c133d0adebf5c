"""What is scored: the SDKs, their versions, and which tests are about which feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Feature:
    """What an SDK can do.

    :param tests: those that drive it, as pytest names them below ``tests/sdk``.
    :param since: the first version of the SDK that has it; older ones are not asked.
    """

    tests: Sequence[str]
    since: str = "0"


@dataclass(frozen=True)
class Scored:
    """An SDK.

    :param package: its name at its registry.
    :param registry: ``npm`` or ``pypi``.
    :param versions: the older ones; the newest is the one that the ordinary tests drive.
    :param beside: what else the older ones need, as it was in their time.
    :param build: what is driven in place of the package's main build.
    """

    name: str
    package: str
    registry: str
    versions: Sequence[str]
    features: Mapping[str, Feature]
    beside: Sequence[str] = ()
    build: str = ""


def _of(file: str, group: str, *tests: str, since: str = "0") -> Feature:
    names = [f"{file}.py::{group}::test_{test}" for test in tests] or [f"{file}.py::{group}"]
    return Feature(names, since)


def _server_sdk(group: str, users: str, inboxes: str) -> Mapping[str, Feature]:
    """Give the features of a server SDK.

    :param users: its first version that knows users.
    :param inboxes: its first version that sends events to users.
    """

    def of(*tests: str, since: str = "0") -> Feature:
        return _of("test_server_sdks", group, *tests, since=since)

    webhooks = ("test_webhooks.py::Kinds::test_arrivals", "test_webhooks.py::Requests::test_forged")
    return {
        "trigger": of(
            "trigger", "trigger_many_channels", "any_data", "any_names", "exclude_a_connection", "nobody_there"
        ),
        "batch": of("batch_too_large", "batch_with_a_fault"),
        "queries": of("occupied_channels", "one_channel", "users", "wrong_questions"),
        "encrypted": of("encrypted"),
        "cache": of("cached", "encrypted_and_cached"),
        "authorize": of("authorize", since=users if group == "Node" else "0"),
        "send to user": of("send_to_user", "send_to_absent_user", since=inboxes),
        "terminate": of("terminate", "terminate_absent_user", since=users),
        "webhooks": Feature(webhooks),
        "errors": of("wrong_secret", "unknown_key", "event_without_a_name", "reserved_name"),
    }


CLIENT_FEATURES = (
    *("connect", "public", "private", "presence", "encrypted", "cache", "client events", "comes back"),
    *("sign-in", "watchlist", "counts"),
)
SERVER_FEATURES = (
    *("trigger", "batch", "queries", "encrypted", "cache", "authorize", "send to user", "terminate", "webhooks"),
    "errors",
)

PUSHER_JS: Mapping[str, Feature] = {
    "connect": _of("test_pusher_js", "Connecting"),
    "public": _of("test_pusher_js", "Subscribing", "public", "many_channels", "subscribed_already", "unsubscribe"),
    "private": _of("test_pusher_js", "Subscribing", "private", "wrong_secret", "foreign_key", "no_token"),
    "presence": _of("test_pusher_js", "Present"),
    "encrypted": _of("test_server_sdks", "Python", "encrypted", since="6.0.0"),
    "cache": _of("test_cache", "CacheChannels"),
    "client events": _of("test_pusher_js", "ClientEvents"),
    "comes back": _of("test_pusher_js", "ComingBack"),
    "sign-in": _of("test_users", "SigningIn", since="7.2.0"),
    "watchlist": _of("test_users", "Watching", since="7.2.0"),
    "counts": _of("test_counts", "SubscriptionCounts", since="7.2.0"),
}

CLIENTS = (
    Scored(
        "pusher-js",
        "pusher-js",
        "npm",
        ("4.4.0", "5.1.1", "6.0.3", "7.0.6", "7.6.0"),
        PUSHER_JS,
    ),
    Scored("pusher-js/worker", "pusher-js", "npm", ("8.0.1",), PUSHER_JS, build="pusher-js/worker"),
    Scored("pusher-js/with-encryption", "pusher-js", "npm", ("6.0.3",), PUSHER_JS, build="pusher-js/with-encryption"),
    Scored(
        "Laravel Echo",
        "laravel-echo",
        "npm",
        ("1.15.3", "1.19.0"),
        {
            "public": _of("test_laravel_echo", "Echo", "channel"),
            "private": _of("test_laravel_echo", "Echo", "private", "to_others", "refused"),
            "presence": _of("test_laravel_echo", "Echo", "join"),
            "encrypted": _of("test_laravel_echo", "Echo", "encrypted_private"),
            "client events": _of("test_laravel_echo", "Echo", "whisper"),
        },
    ),
    Scored(
        "Pysher",
        "pysher",
        "pypi",
        ("1.0.6", "1.0.7"),
        {
            "connect": _of("test_pysher", "Pysher", "unknown_key"),
            "public": _of("test_pysher", "Pysher", "public"),
            "private": _of("test_pysher", "Pysher", "private", "wrong_secret"),
            "presence": _of("test_pysher", "Pysher", "presence"),
            "client events": _of("test_pysher", "Pysher", "client_events"),
        },
        ("websocket-client<0.54",),
    ),
)
SERVERS = (
    Scored("pusher for Python", "pusher", "pypi", ("3.0.0", "3.3.0", "3.3.3"), _server_sdk("Python", "3.3.0", "3.3.3")),
    Scored("pusher for Node", "pusher", "npm", ("5.0.1", "5.1.3"), _server_sdk("Node", "5.1.2", "5.1.2")),
)


def number(version: str) -> Version:
    """Read a version, to compare it."""
    return tuple(int(part) for part in version.split("."))
