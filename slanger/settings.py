"""Flags, environment and files become one checked value.

What stands first wins: a flag, then the environment variable `SLANGER_` and the flag's name, then the default. The
secret may also come from a file, or from systemd as the credential `slanger-secret`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from slanger.domain.apps import App
from slanger.faults import StartupFault
from slanger.protocol import names

CREDENTIAL = "slanger-secret"
"""Name of the systemd credential (`LoadCredential=slanger-secret:FILE`) that holds the secret."""

ANY_HOST = "0.0.0.0"  # noqa: S104 - what Slanger did, and what a server is for

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")


@dataclass(frozen=True, slots=True)
class Option:
    """An option that takes a value.

    :param default: as it would be typed; None where there is none.
    """

    name: str
    short: str | None
    default: str | None
    help: str
    spellings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switch:
    """An option that is on or off: `--NAME` or `--no-NAME`."""

    name: str
    short: str | None
    default: bool
    help: str


OPTIONS = (
    Option("app-key", "k", None, "Key of the app; clients connect to /app/KEY."),
    Option("secret", "s", None, "Secret of the app. The process list shows it: prefer --secret-file."),
    Option("secret-file", None, None, "File that holds the secret of the app."),
    Option("app-id", None, None, "Id of the app in REST paths [any]."),
    Option("api-host", "a", "0.0.0.0:4567", "REST API: HOST:PORT or a Twisted endpoint string."),
    Option("websocket-host", "w", "0.0.0.0:8080", "WebSockets: the same; the same address puts both on one port."),
    Option("redis-url", "r", "redis://127.0.0.1:6379/0", "Redis shared by the nodes, or none.", ("redis-address",)),
    Option("tls-cert", None, None, "Certificate in PEM, with its chain: the ports speak TLS."),
    Option("tls-key", None, None, "Private key of the certificate [in the certificate's file]."),
    Option("tls-ports", None, "both", "Which ports speak TLS: both, websocket or api."),
    Option("activity-timeout", None, str(names.ACTIVITY_TIMEOUT), "Seconds of silence after which clients ping."),
    Option("pong-timeout", None, str(names.PONG_TIMEOUT), "Seconds to wait for an answer to a ping."),
    Option("presence-members", None, str(names.PRESENCE_MEMBERS), "Users on one presence channel."),
    Option("presence-member-bytes", None, str(names.PRESENCE_MEMBER_BYTES), "Bytes of one user's channel_data."),
    Option("user-id-length", None, str(names.USER_ID_LENGTH), "Characters in a presence user id."),
    Option("channel-name-length", None, str(names.CHANNEL_NAME_LENGTH), "Characters in a channel name."),
    Option("event-data-bytes", None, str(names.EVENT_DATA_BYTES), "Bytes of data in an event."),
    Option("event-channels", None, str(names.EVENT_CHANNELS), "Channels one event may be sent to."),
    Option(
        "client-events-per-second",
        None,
        str(names.CLIENT_EVENTS_PER_SECOND),
        "Client events a connection may send in a second.",
    ),
)

SWITCHES = (
    Switch("verbose", "v", False, "Log every frame in and out, auth strings masked."),
    Switch("client-events", None, True, "Let subscribers send events to each other."),
    Switch("subscription-errors", None, True, "Send pusher:subscription_error when a subscription is refused."),
    Switch(
        "internal-subscription-errors", None, True, "Send pusher_internal:subscription_error too (the .NET client)."
    ),
)

Given = Mapping[str, str | bool]
"""What was given on the command line: texts of options, states of switches; only what was given."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port listens.

    :param text: as the operator wrote it.
    :param host: an address of this machine; the empty string where `endpoint` is given.
    :param endpoint: a Twisted endpoint string, or None.
    :param tls: whether the certificate of the settings is used here.
    """

    text: str
    host: str
    port: int
    endpoint: str | None
    tls: bool

    def same_place(self, other: Address) -> bool:
        """Whether both mean one port."""
        return (self.host, self.port, self.endpoint) == (other.host, other.port, other.endpoint)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator decides.

    :param redis_url: where the other nodes are met, or None for a node that is alone on purpose.
    :param activity_timeout: seconds.
    :param pong_timeout: seconds.
    """

    app: App
    websocket: Address
    api: Address
    redis_url: str | None
    tls_cert: str | None
    tls_key: str | None
    activity_timeout: int
    pong_timeout: int
    verbose: bool


class MissingOption(StartupFault):
    """A required option was not given."""


def read_settings(given: Given, environment: Mapping[str, str]) -> Settings:
    """Check what was given, all of it.

    :raises StartupFault: with the first thing that is wrong, and what would be right.
    """
    values = _Values(given, environment)
    key = values.text("app-key")
    if key is None:
        raise MissingOption("no app key: give --app-key KEY, or set SLANGER_APP_KEY")
    if not re.fullmatch(r"[\w.~!$&'()*+,;=@-]+", key, re.ASCII):
        raise StartupFault(f"--app-key {key!r}: expected only characters that a URL path may hold, and no / or :")
    tls_cert = values.text("tls-cert")
    tls_ports = values.choice("tls-ports", ("both", "websocket", "api"))
    if tls_cert is None and values.text("tls-key") is not None:
        raise StartupFault("--tls-key was given without --tls-cert: give the certificate too")
    websocket = read_address("--websocket-host", values.required("websocket-host"), 8080)
    api = read_address("--api-host", values.required("api-host"), 4567)
    if tls_cert is not None:
        websocket = _with_tls(websocket, "--websocket-host") if tls_ports in ("both", "websocket") else websocket
        api = _with_tls(api, "--api-host") if tls_ports in ("both", "api") else api
        if websocket.same_place(api) and websocket.tls != api.tls:
            raise StartupFault(f"--tls-ports {tls_ports}: WebSockets and REST API share one port: expected both")
    return Settings(
        app=App(
            key=key,
            secret=_read_secret(values, environment),
            id=values.text("app-id"),
            client_events=values.switch("client-events"),
            subscription_errors=values.switch("subscription-errors"),
            internal_subscription_errors=values.switch("internal-subscription-errors"),
            channel_name_length=values.number("channel-name-length"),
            event_data_bytes=values.number("event-data-bytes"),
            event_channels=values.number("event-channels"),
            client_events_per_second=values.number("client-events-per-second"),
            presence_members=values.number("presence-members"),
            presence_member_bytes=values.number("presence-member-bytes"),
            user_id_length=values.number("user-id-length"),
        ),
        websocket=websocket,
        api=api,
        redis_url=_read_redis_url(values.required("redis-url")),
        tls_cert=tls_cert,
        tls_key=values.text("tls-key") or tls_cert,
        activity_timeout=values.number("activity-timeout"),
        pong_timeout=values.number("pong-timeout"),
        verbose=values.switch("verbose"),
    )


def read_address(option: str, text: str, default_port: int) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `HOST` or a Twisted endpoint string.

    :raises StartupFault: it is none of these.
    """
    if ":" in text and text.partition(":")[0] in _endpoint_kinds():
        return Address(text, "", 0, text, tls=False)
    form = re.fullmatch(r"(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\[\]:\s]*))(?::(?P<port>\d{1,5}))?", text)
    if form is None or not text or int(form["port"] or default_port) > 65535:
        raise StartupFault(
            f"{option} {text!r}: expected HOST:PORT, [IPV6]:PORT, :PORT, HOST or a Twisted endpoint string,"
            " with a port up to 65535"
        )
    return Address(text, form["six"] or form["host"] or ANY_HOST, int(form["port"] or default_port), None, tls=False)


def endpoint_string(address: Address) -> str:
    """Write an address without TLS as a Twisted endpoint string."""
    return address.endpoint or f"tcp:{address.port}:interface={quoteStringArgument(address.host)}"


class _Values:
    """What was given, wherever it was given."""

    def __init__(self, given: Given, environment: Mapping[str, str]) -> None:
        self._given = given
        self._environment = environment
        self._defaults = {option.name: option.default for option in OPTIONS}
        self._states = {switch.name: switch.default for switch in SWITCHES}

    def text(self, name: str) -> str | None:
        """Give an option's text; an empty one counts as not given."""
        found = self._given.get(name)
        return str(found or self._environment.get(_variable(name)) or self._defaults[name] or "") or None

    def required(self, name: str) -> str:
        """Give the text of an option that has a default."""
        text = self.text(name)
        assert text is not None, name
        return text

    def first_given(self, *names: str) -> str | None:
        """Tell which of these options was given first: by a flag, or else in the environment."""
        flags = (name for name in names if self._given.get(name))
        variables = (name for name in names if self._environment.get(_variable(name)))
        return next(flags, None) or next(variables, None)

    def number(self, name: str) -> int:
        """Give an option that counts something: at least 1."""
        text = self.required(name)
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= 10**9):
            raise StartupFault(f"--{name} {text!r}: expected a whole number from 1 to 1000000000")
        return int(text)

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """Give an option that has few values."""
        text = self.required(name)
        if text not in choices:
            raise StartupFault(f"--{name} {text!r}: expected one of {', '.join(choices)}")
        return text

    def switch(self, name: str) -> bool:
        """Tell whether a switch is on."""
        if name in self._given:
            return bool(self._given[name])
        variable = _variable(name)
        text = self._environment.get(variable, "").lower()
        states = {"": self._states[name], "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text not in states:
            raise StartupFault(f"{variable}={text}: expected yes or no")
        return states[text]


def _variable(name: str) -> str:
    return "SLANGER_" + name.upper().replace("-", "_")


def _read_secret(values: _Values, environment: Mapping[str, str]) -> str:
    """Take the secret from where it was given."""
    name = values.first_given("secret", "secret-file")
    if name == "secret":
        return values.required(name)
    file = values.text("secret-file")
    credential = Path(environment.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)
    if file is None and credential.exists():
        file = str(credential)
    if file is None:
        raise MissingOption("no secret: give --secret-file FILE, set SLANGER_SECRET, or give --secret SECRET")
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise StartupFault(f"--secret-file {file}: {getattr(fault, 'strerror', None) or 'it is not text'}") from None
    if not secret:
        raise StartupFault(f"--secret-file {file}: it is empty; expected the secret of the app in it")
    return secret


def _with_tls(address: Address, option: str) -> Address:
    if address.endpoint is not None:
        raise StartupFault(
            f"{option} {address.text}: --tls-cert is for addresses of the form HOST:PORT;"
            " write ssl:PORT:privateKey=FILE:certKey=FILE, or leave this port out with --tls-ports"
        )
    return Address(address.text, address.host, address.port, None, tls=True)


def _read_redis_url(text: str) -> str | None:
    if text == "none":
        return None
    try:
        url = urlsplit(text)
        complete = url.scheme in REDIS_SCHEMES and bool(url.path if url.scheme == "unix" else url.hostname)
        _ = url.port
    except ValueError:
        complete = False
    if not complete:
        raise StartupFault(
            f"--redis-url: expected none, or a URL such as redis://HOST:6379/0, with one of the schemes"
            f" {', '.join(REDIS_SCHEMES)}"
        )
    return text


def _endpoint_kinds() -> set[str]:
    """Name the kinds of endpoint that Twisted knows here."""
    return {"tcp", "ssl", "unix"} | {parser.prefix for parser in getPlugins(IStreamServerEndpointStringParser)}
