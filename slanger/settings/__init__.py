"""Flags, environment and a settings file become one checked value.

What stands first wins: a flag; the environment variable `SLANGER_` and the flag's name; the settings file; the
default. The secret may also come from a file, or from systemd as the credential `slanger-secret`.

===========  ==========================================================
`options`    every option there is
`sources`    where values come from, and which of them wins
`file`       the settings file
`apps`       the apps: those of the file, and that of the command line
`addresses`  where ports listen
`proxies`    proxies in front: whom to believe, and what they send
`limits`     what a node bears, and which origins may come
`metrics`    where metrics are to be had
`explain`    what an app's settings mean, in words
`help`       what `--help` and the manual page say
===========  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from slanger.brokers.redis.address import RedisAddress, read_redis_url
from slanger.domain.apps import App
from slanger.domain.limits import Limits
from slanger.faults import StartupFault
from slanger.proxies import Proxies
from slanger.settings.addresses import BACKLOG, Address, endpoint_string, read_address, with_tls
from slanger.settings.apps import MissingOption, read_apps
from slanger.settings.explain import explain_app, explain_limits
from slanger.settings.file import NO_FILE, read_file
from slanger.settings.limits import read_limits, read_origins
from slanger.settings.metrics import read_metrics_host
from slanger.settings.options import FIXED, LIVE, OPTIONS, SWITCHES
from slanger.settings.proxies import read_path_prefix, read_proxies, read_proxy_protocol
from slanger.settings.sources import Values, as_environment, environment, flags

__all__ = [
    "BACKLOG",
    "LIVE",
    "OPTIONS",
    "SWITCHES",
    "Address",
    "MissingOption",
    "Settings",
    "as_environment",
    "endpoint_string",
    "read_address",
    "read_settings",
]

LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator decides.

    :param redis: where the other nodes are met, or None for a node that is alone on purpose.
    :param node_lease: seconds.
    :param activity_timeout: seconds.
    :param pong_timeout: seconds.
    :param cache_ttl: seconds.
    :param limits: what the node bears.
    :param cors_origins: the web pages that may read answers of the REST API.
    :param workers: processes on the same ports.
    :param metrics: whether metrics are to be had of the REST API, too.
    :param metrics_host: where they have a port of their own; None for nowhere. Of workers, the first has this one, the
        second the next, and so on.
    :param log_format: ``text`` or ``json``.
    :param trusted_proxies: who is believed about the addresses of clients.
    :param proxy_protocol: to which ports they send PROXY headers: none, both, websocket or api.
    :param path_prefix: stands before the paths of the API; empty, or begins with a slash and ends without.
    :param drain_seconds: over which clients are sent away at a stop.
    :param check: whether to say what the settings mean, and no more.
    :param tls_watch_seconds: between two looks at the certificate's files.
    :param given: the options of the node as texts, by name: those of the file, the environment and the command line,
        and the defaults.
    """

    apps: tuple[App, ...]
    websocket: Address
    api: Address
    redis: RedisAddress | None
    redis_prefix: str
    node_lease: int
    replay_events: int
    publish_buffer_bytes: int
    tls_cert: str | None
    tls_key: str | None
    trusted_proxies: Proxies
    proxy_protocol: str
    path_prefix: str
    tls_watch_seconds: int
    activity_timeout: int
    pong_timeout: int
    cache_ttl: int
    cache_bytes: int
    limits: Limits
    cors_origins: tuple[str, ...]
    workers: int
    drain_seconds: int
    reuse_port: bool
    metrics: bool
    metrics_host: Address | None
    soketi_metrics: bool
    log_format: str
    access_log: bool
    verbose: bool
    check: bool
    given: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def explain(self) -> str:
        """Say what the settings mean; never a secret."""
        broker = "none: this node is alone" if self.redis is None else f"Redis at {self.redis.text}"
        lines = [
            f"WebSockets on {self.websocket.text}{self._extras('websocket', self.websocket)}",
            f"REST API on {self.api.text}{self.path_prefix}{self._extras('api', self.api)}",
            *([f"metrics on {self.metrics_host.text}"] if self.metrics_host is not None else []),
            *(["metrics on the REST API, for whoever reaches it"] if self.metrics else []),
            *([f"trusted proxies: {self.trusted_proxies.text}"] if self.trusted_proxies else []),
            f"broker: {broker}",
            *([f"{self.workers} workers"] if self.workers > 1 else []),
            *explain_limits(self.limits),
            *([f"CORS for {', '.join(self.cors_origins)}"] if self.cors_origins else []),
            *(line for app in self.apps for line in explain_app(app)),
            "the settings are good",
        ]
        return "\n".join(lines)

    def proxied(self, port: str) -> bool:
        """Whether trusted proxies send PROXY headers to a port, `websocket` or `api`."""
        return self.proxy_protocol in ("both", port)

    def _extras(self, port: str, address: Address) -> str:
        return " with TLS" * address.tls + ", behind PROXY headers" * self.proxied(port)

    @property
    def fixed(self) -> dict[str, str]:
        """The options that hold until the process ends, as texts by name."""
        return {option.name: self.given[option.name] for option in FIXED if option.name in self.given}

    def needs_restart(self, new: Settings) -> list[str]:
        """Name the options whose values in new settings only hold after a restart."""
        before, after = self.fixed, new.fixed
        names = [option.name for option in FIXED if before.get(option.name) != after.get(option.name)]
        return names if (self.tls_cert is None) is (new.tls_cert is None) else [*names, "tls-cert"]


def read_settings(given: Mapping[str, str | bool], variables: Mapping[str, str]) -> Settings:
    """Check what was given, all of it.

    :param given: from the command line, by the options' names: only what was given.
    :param variables: the environment.
    :raises StartupFault: with the first thing that is wrong, and what would be right.
    """
    outside = (flags(given), environment(variables))
    outer = Values(outside)
    config = outer.text("config")
    file = NO_FILE if config is None else read_file(outer.origin("config"), config)
    values = Values((*outside, file.node))
    tls_cert = values.text("tls-cert")
    if tls_cert is None and values.text("tls-key") is not None:
        raise StartupFault(f"{values.origin('tls-key')} was given without --tls-cert: give the certificate too")
    websocket, api = _read_ports(values, tls=tls_cert is not None)
    redis = read_redis_url(values.origin("redis-url"), values.required("redis-url"))
    workers, reuse_port = values.number("workers"), values.switch("reuse-port")
    if workers > 1 and redis is None:
        raise StartupFault(f"{values.origin('workers')} {workers}: workers need a Redis between them; see --redis-url")
    for address in (websocket, api):
        if (workers > 1 or reuse_port) and address.endpoint is not None:
            name = "workers" if workers > 1 else "reuse-port"
            raise StartupFault(f"{values.origin(name)}: it takes addresses of the form HOST:PORT, not {address.text}")
    return Settings(
        apps=read_apps(values, variables, file),
        websocket=websocket,
        api=api,
        redis=redis,
        redis_prefix=_read_prefix(values),
        node_lease=values.number("node-lease"),
        replay_events=values.number("replay-events"),
        publish_buffer_bytes=values.number("publish-buffer-bytes"),
        tls_cert=tls_cert,
        tls_key=values.text("tls-key") or tls_cert,
        trusted_proxies=read_proxies(values),
        proxy_protocol=read_proxy_protocol(values, websocket, api),
        path_prefix=read_path_prefix(values),
        tls_watch_seconds=values.number("tls-watch-seconds"),
        activity_timeout=values.number("activity-timeout"),
        pong_timeout=values.number("pong-timeout"),
        cache_ttl=values.number("cache-ttl"),
        cache_bytes=values.number("cache-bytes"),
        limits=read_limits(values),
        cors_origins=read_origins(values, "cors-origins"),
        workers=workers,
        drain_seconds=values.number("drain-seconds"),
        reuse_port=reuse_port,
        metrics=values.switch("metrics"),
        metrics_host=read_metrics_host(values, (websocket, api)),
        soketi_metrics=values.switch("soketi-metrics"),
        log_format=values.choice("log-format", LOG_FORMATS),
        access_log=values.switch("access-log"),
        verbose=values.switch("verbose"),
        check=values.switch("check"),
        given={option.name: text for option in (*FIXED, *LIVE) if (text := values.text(option.name)) is not None},
    )


def _read_prefix(values: Values) -> str:
    prefix = values.required("redis-prefix")
    if not re.fullmatch(r"[\w.:@-]+", prefix, re.ASCII):
        raise StartupFault(f"{values.origin('redis-prefix')} {prefix!r}: expected letters, digits and . _ - : @ alone")
    return prefix


def _read_ports(values: Values, *, tls: bool) -> tuple[Address, Address]:
    origin_w, origin_a = values.origin("websocket-host"), values.origin("api-host")
    websocket = read_address(origin_w, values.required("websocket-host"), 8080)
    api = read_address(origin_a, values.required("api-host"), 4567)
    tls_ports = values.choice("tls-ports", ("both", "websocket", "api"))
    if tls:
        websocket = with_tls(websocket, origin_w) if tls_ports in ("both", "websocket") else websocket
        api = with_tls(api, origin_a) if tls_ports in ("both", "api") else api
        if websocket.same_place(api) and websocket.tls != api.tls:
            raise StartupFault(
                f"{values.origin('tls-ports')} {tls_ports}: WebSockets and REST API share one port: expected both"
            )
    return websocket, api
