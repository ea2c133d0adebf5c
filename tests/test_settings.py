"""Flags, environment and files: what they become, and what is wrong with them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slanger.brokers.redis.address import RedisAddress
from slanger.domain.apps import App
from slanger.domain.limits import Limits
from slanger.faults import StartupFault
from slanger.proxies import Proxies
from slanger.settings import (
    OPTIONS,
    SWITCHES,
    Address,
    MissingOption,
    Settings,
    as_environment,
    endpoint_string,
    read_address,
    read_settings,
)
from slanger.settings.addresses import with_tls
from tests.server import KEY, SECRET

Given = dict[str, str | bool]

REQUIRED: Given = {"app-key": KEY, "secret": SECRET}
NUMBERS = {
    "drain-seconds": 10,
    "activity-timeout": 120,
    "pong-timeout": 30,
    "tls-watch-seconds": 5,
    "presence-members": 100,
    "presence-member-bytes": 1024,
    "user-id-length": 128,
    "channel-name-length": 200,
    "event-data-bytes": 10240,
    "event-channels": 100,
    "client-events-per-second": 10,
    "authorization-timeout": 30,
    "batch-events": 10,
    "cache-bytes": 67108864,
    "cache-ttl": 1800,
    "watchlist-users": 100,
    "node-lease": 6,
    "replay-events": 10_000,
    "publish-buffer-bytes": 32 * 1024 * 1024,
    "workers": 1,
    "event-name-length": 200,
    "connection-channels": 1000,
    "messages-per-second": 100,
    "header-bytes": 16384,
    "handshake-timeout": 10,
    "close-timeout": 1,
    "request-timeout": 30,
    "keep-alive": 60,
    "unsent-bytes": 128 * 1024,
    "backlog-bytes": 1024 * 1024,
    "total-backlog-bytes": 256 * 1024 * 1024,
}
UNLIMITED_NUMBERS = {
    "connections",
    "requests-per-second",
    "node-connections",
    "address-connections",
    "connects-per-second",
    "memory-bytes",
}
WORKED_OUT = {"message-bytes", "body-bytes"}
ALL_NUMBERS = {*NUMBERS, *UNLIMITED_NUMBERS, *WORKED_OUT}
FROM_ZERO = ("drain-seconds",)
"""Those of them that may be 0."""


def variable(name: str) -> str:
    """Name the environment variable of an option."""
    return "SLANGER_" + name.upper().replace("-", "_")


def only_app(settings: Settings) -> App:
    """Give the one app there is."""
    (app,) = settings.apps
    return app


def member(settings: Settings, name: str) -> object:
    """Find what an option became: it belongs to the node, or to the app."""
    if name == "redis-url":
        return settings.redis and settings.redis.text
    attribute = name.replace("-", "_")
    for place in (settings, settings.limits):
        if hasattr(place, attribute):
            return getattr(place, attribute)
    return getattr(only_app(settings), attribute)


class SettingsTestCase(SynchronousTestCase):
    """Settings from flags and an environment."""

    def read(self, given: Given | None = None, **environment: str) -> Settings:
        """Read flags beside key and secret."""
        return read_settings({**REQUIRED, **(given or {})}, environment)

    def assert_fault(
        self, sentences: tuple[str, ...], given: Given, environment: Mapping[str, str] | None = None
    ) -> str:
        """Check that there is a fault of one line with these words in it, and without the secret."""
        fault = self.assertRaises(StartupFault, read_settings, given, environment or {})
        text = str(fault.code)
        self.assertEqual(len(text.splitlines()), 1, text)
        self.assertTrue(text.startswith("slanger: "), text)
        for words in sentences:
            self.assertIn(words, text)
        self.assertNotIn(SECRET, text)
        self.assertNotIn(SECRET, repr(fault))
        return text

    def file(self, content: str | bytes, name: str = "file") -> Path:
        """Write a file."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name, name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


class DefaultTests(SettingsTestCase):
    """What holds when nothing else is said."""

    def test_defaults(self) -> None:
        """Command line: the addresses and the Redis of Slanger, the limits of the documentation."""
        expected = Settings(
            apps=(App(key=KEY, secret=SECRET),),
            websocket=Address("0.0.0.0:8080", "0.0.0.0", 8080, None, tls=False),
            api=Address("0.0.0.0:4567", "0.0.0.0", 4567, None, tls=False),
            redis=RedisAddress(text="redis://127.0.0.1:6379/0", hosts=(("127.0.0.1", 6379),)),
            redis_prefix="slanger",
            node_lease=6,
            replay_events=10_000,
            publish_buffer_bytes=32 * 1024 * 1024,
            workers=1,
            drain_seconds=10,
            reuse_port=False,
            tls_cert=None,
            tls_key=None,
            trusted_proxies=Proxies(),
            proxy_protocol="none",
            path_prefix="",
            tls_watch_seconds=5,
            activity_timeout=120,
            pong_timeout=30,
            cache_ttl=1800,
            cache_bytes=64 * 1024 * 1024,
            limits=Limits(),
            cors_origins=(),
            metrics=False,
            metrics_host=None,
            soketi_metrics=False,
            log_format="text",
            access_log=False,
            verbose=False,
            check=False,
        )
        self.assertEqual(self.read(), expected)
        self.assertEqual({name: member(self.read(), name) for name in NUMBERS}, NUMBERS)
        self.assertTrue(only_app(self.read()).client_events)

    def test_every_option_is_tested(self) -> None:
        """Command line: each option has a test here; a new one is missed by this."""
        known = {
            "app-key",
            "secret",
            "secret-file",
            "app-id",
            "api-host",
            "websocket-host",
            "redis-url",
            "redis-prefix",
        }
        known |= {"tls-cert", "tls-key", "tls-ports", "config", "termination-code", "webhook-url", "webhook-events"}
        known |= {*ALL_NUMBERS, "origins", "cors-origins"}
        known |= {"metrics-host", "log-format"}
        known |= {"trusted-proxies", "proxy-protocol", "path-prefix"}
        known |= {*NUMBERS}
        self.assertEqual({option.name for option in OPTIONS}, known)

    def test_missing(self) -> None:
        """Command line: key and secret are required; the fault says how to give them."""
        self.assert_fault(("no app key", "--app-key", "SLANGER_APP_KEY"), {"secret": SECRET})
        self.assert_fault(("no secret", "--secret-file", "SLANGER_SECRET"), {"app-key": KEY})
        self.assertRaises(MissingOption, read_settings, {}, {})
        self.assertRaises(MissingOption, read_settings, {"app-key": KEY}, {"CREDENTIALS_DIRECTORY": "/nowhere"})


class MetricsTests(SettingsTestCase):
    """Where metrics are to be had."""

    def metrics(self, where: str | None, **given: str | bool) -> Address | None:
        """Read where they have a port of their own."""
        options = {name.replace("_", "-"): value for name, value in given.items()}
        if where is not None:
            options["metrics-host"] = where
        return self.read(options).metrics_host

    def test_addresses(self) -> None:
        """Metrics: an address of any kind, by default the port of Soketi's; without one there is none."""
        self.assertIsNone(self.metrics(None))
        for text, host, port in (("127.0.0.1", "127.0.0.1", 9601), (":7", "0.0.0.0", 7), ("[::1]:9", "::1", 9)):
            address = self.metrics(text)
            assert address is not None
            self.assertEqual((address.host, address.port), (host, port))
        address = self.metrics("unix:/run/metrics.sock")
        assert address is not None
        self.assertEqual(address.endpoint, "unix:/run/metrics.sock")

    def test_own_port(self) -> None:
        """Metrics: a port that clients use is a fault; the same number on another address is not."""
        self.assert_fault(("--metrics-host :4567", "for clients"), {**REQUIRED, "metrics-host": ":4567"})
        self.assert_fault(("127.0.0.1:8080", "for clients"), {**REQUIRED, "metrics-host": "127.0.0.1:8080"})
        self.assertIsNotNone(self.metrics("127.0.0.1:4567", api_host="127.0.0.2:4567"))

    def test_workers(self) -> None:
        """Metrics: workers need a port each, so an endpoint, the API's port, or too few ports are faults."""
        faults: list[tuple[tuple[str, ...], dict[str, str | bool]]] = [
            (("HOST:PORT", "unix:/m"), {"metrics-host": "unix:/m", "workers": "2"}),
            (("--metrics:", "--metrics-host"), {"metrics": True, "workers": "2"}),
            (("--metrics:", "--metrics-host"), {"metrics": True, "reuse-port": True}),
            (("4565", "for clients"), {"metrics-host": ":4565", "workers": "3"}),
            (("2 workers", "65535"), {"metrics-host": ":65535", "workers": "2"}),
        ]
        for words, given in faults:
            self.assert_fault(words, {**REQUIRED, **given})
        self.assertIsNotNone(self.metrics(":4565", workers="2"))

    def test_log_format(self) -> None:
        """Log: text or json, and nothing else."""
        self.assertEqual(self.read({"log-format": "json"}).log_format, "json")
        self.assert_fault(("--log-format 'xml'", "text, json"), {**REQUIRED, "log-format": "xml"})


class OrderTests(SettingsTestCase):
    """A flag, then the environment, then the default."""

    def test_texts(self) -> None:
        """Command line: every text comes from its flag, or else from the environment."""
        for name, flag, environment in (
            ("app-key", "flag-key", "env-key"),
            ("app-id", "1", "2"),
            ("redis-url", "redis://one", "rediss://two:1/5"),
            ("redis-prefix", "one", "two"),
            ("tls-cert", "one.pem", "two.pem"),
        ):
            given = {**REQUIRED, name: flag}
            without = {key: value for key, value in REQUIRED.items() if key != name}
            attribute = {"app-key": "key", "app-id": "id"}.get(name, name)
            of = {variable(name): environment}
            self.assertEqual(member(read_settings(given, of), attribute), flag)
            self.assertEqual(member(read_settings(without, of), attribute), environment)

    def test_addresses(self) -> None:
        """Command line: so do the addresses."""
        for name in ("websocket-host", "api-host"):
            attribute = name.removesuffix("-host")
            of = {variable(name): "two:2"}
            self.assertEqual(getattr(self.read({name: "one:1"}, **of), attribute).text, "one:1")
            self.assertEqual(getattr(self.read(None, **of), attribute).text, "two:2")

    def test_numbers(self) -> None:
        """Command line: so does every number."""
        for name in ALL_NUMBERS:
            of = {variable(name): "8"}
            self.assertEqual(member(self.read({name: "7"}, **of), name), 7)
            self.assertEqual(member(self.read(None, **of), name), 8)

    def test_switches(self) -> None:
        """Command line: so does every switch; the environment says yes or no in several words."""
        for switch in SWITCHES:
            self.assertIs(member(self.read(), switch.name), switch.default)
            for text, state in (
                ("1", True),
                ("yes", True),
                ("TRUE", True),
                ("0", False),
                ("No", False),
                ("false", False),
            ):
                of = {variable(switch.name): text}
                self.assertIs(member(self.read(None, **of), switch.name), state)
                self.assertIs(member(self.read({switch.name: not state}, **of), switch.name), not state)
            self.assertIs(member(self.read(None, **{variable(switch.name): ""}), switch.name), switch.default)

    def test_empty(self) -> None:
        """Command line: an empty text counts as not given."""
        empty = {option.name: "" for option in OPTIONS}
        environment = {variable(name): text for name, text in empty.items()}
        of = {**environment, "SLANGER_APP_KEY": KEY, "SLANGER_SECRET": SECRET}
        self.assertEqual(read_settings(empty, of), self.read())
        self.assertRaises(MissingOption, read_settings, empty, environment)


class SecretTests(SettingsTestCase):
    """Where the secret may come from."""

    def test_flag_and_environment(self) -> None:
        """Secret: from the flag, or else from the environment."""
        self.assertEqual(only_app(self.read(SLANGER_SECRET="other")).secret, SECRET)
        self.assertEqual(only_app(read_settings({"app-key": KEY}, {"SLANGER_SECRET": "other"})).secret, "other")

    def test_file(self) -> None:
        """Secret: from a file, the newline at its end left out."""
        for content in (SECRET, f"{SECRET}\n", f"  {SECRET}\r\n\n"):
            file = str(self.file(content))
            self.assertEqual(only_app(read_settings({"app-key": KEY, "secret-file": file}, {})).secret, SECRET)
            self.assertEqual(only_app(read_settings({"app-key": KEY}, {"SLANGER_SECRET_FILE": file})).secret, SECRET)

    def test_credential(self) -> None:
        """Secret: from systemd's credential."""
        file = self.file(f"{SECRET}\n", "slanger-secret")
        environment = {"CREDENTIALS_DIRECTORY": str(file.parent)}
        self.assertEqual(only_app(read_settings({"app-key": KEY}, environment)).secret, SECRET)
        other = str(self.file("other"))
        self.assertEqual(only_app(read_settings({"app-key": KEY, "secret-file": other}, environment)).secret, "other")

    def test_unreadable_credential(self) -> None:
        """Secret: a credential that is there, and cannot be looked at, is named."""
        loop = self.file("", "elsewhere").parent / "slanger-secret"
        loop.symlink_to(loop)
        with self.assertRaises(StartupFault) as caught:
            read_settings({"app-key": KEY}, {"CREDENTIALS_DIRECTORY": str(loop.parent)})
        self.assertEqual(str(caught.exception), f"credential {loop}: Too many levels of symbolic links")

    def test_flag_first(self) -> None:
        """Secret: a file that was named by a flag stands before a secret in the environment."""
        given = {"app-key": KEY, "secret-file": str(self.file(SECRET))}
        self.assertEqual(only_app(read_settings(given, {"SLANGER_SECRET": "other"})).secret, SECRET)

    def test_unreadable_file(self) -> None:
        """Secret: a file that is missing, a folder, empty, or no text is told by its name."""
        folder = self.file("x").parent
        for file, words in (
            (folder / "missing", "No such file"),
            (folder, "Is a directory"),
            (self.file(" \n"), "empty"),
            (self.file(b"\xff\xfe\x00"), "not text"),
        ):
            self.assert_fault(("--secret-file", str(file), words), {"app-key": KEY, "secret-file": str(file)})

    def test_never_shown(self) -> None:
        """Secret: it is in no repr and in no fault."""
        settings = self.read()
        self.assertNotIn(SECRET, repr(settings))
        self.assertNotIn(SECRET, str(settings))
        self.assertNotIn(SECRET, repr(only_app(settings)))
        self.assertIn(KEY, repr(settings))
        for name in NUMBERS:
            self.assert_fault((name,), {**REQUIRED, name: "x"})

    def test_redis_password(self) -> None:
        """Secret: the password in a URL of Redis that is wrong is not shown either."""
        text = self.assert_fault(("--redis-url",), {**REQUIRED, "redis-url": "http://user:hunter2@host"})
        self.assertNotIn("hunter2", text)


class FaultTests(SettingsTestCase):
    """Each bad value is one sentence that names the option and says what would be right."""

    def test_numbers(self) -> None:
        """Command line: numbers are whole, and from 1 on; of a time that may be none, from 0 on."""
        for name in ALL_NUMBERS:
            for bad in (
                *(["0"] if name not in FROM_ZERO else []),
                "-1",
                "1.5",
                "many",
                "1000000000001",
                "9" * 40,
                "0x10",
                "1e3",
                " 7",
                "\u0667",
            ):
                self.assert_fault((f"--{name}", repr(bad), "expected a whole number"), {**REQUIRED, name: bad})
            self.assertEqual(member(self.read({name: "1000000000000"}), name), 10**12)

    def test_no_drain(self) -> None:
        """Stop: clients may be sent away at once."""
        self.assertEqual(self.read({"drain-seconds": "0"}).drain_seconds, 0)
        self.assert_fault(("--drain-seconds '-1'", "whole number from 0"), {**REQUIRED, "drain-seconds": "-1"})

    def test_number_from_environment(self) -> None:
        """Command line: a bad value from the environment is told too."""
        self.assert_fault(("SLANGER_PONG_TIMEOUT 'x'",), REQUIRED, {"SLANGER_PONG_TIMEOUT": "x"})

    def test_switches(self) -> None:
        """Command line: a switch in the environment is yes or no."""
        for switch in SWITCHES:
            name = variable(switch.name)
            self.assert_fault((f"{name} 'maybe'", "expected yes or no"), REQUIRED, {name: "maybe"})

    def test_key(self) -> None:
        """Command line: a key may hold what a URL path may, hyphens included, and neither `/` nor `:`."""
        for key in ("my-own-key", "a.b_c~d", "a@b", "K", "a'b(c)"):
            self.assertEqual(only_app(self.read({"app-key": key})).key, key)
        for key in ("a/b", "a:b", "a b", "a?b", "a#b", "é", "a%b", "a\n"):
            self.assert_fault(("--app-key", repr(key), "expected"), {**REQUIRED, "app-key": key})

    def test_unknown_variable(self) -> None:
        """Environment: a variable that begins like ours and is none is refused, and the nearest is named."""
        words = ("SLANGER_CLIENT_EVENT", "did you mean SLANGER_CLIENT_EVENTS?")
        self.assert_fault(words, REQUIRED, {"SLANGER_CLIENT_EVENT": "no"})
        self.assert_fault(("SLANGER_XYZZY",), REQUIRED, {"SLANGER_XYZZY": "1"})

    def test_kubernetes(self) -> None:
        """Environment: what Kubernetes sets for a service called slanger is none of ours, and no fault."""
        names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_WS", "PORT", "PORT_8080_TCP_ADDR")
        self.read(None, **{f"SLANGER_{name}": "tcp://10.0.0.1:8080" for name in names})

    def test_redis_url(self) -> None:
        """Command line: a Redis by TCP, over TLS, by its socket, by its sentinels; or none."""
        tls = RedisAddress(text="", tls=True, ca_file="/ca", cert_file="/cert", key_file="/key")
        for url, text, expected in (
            ("redis://host", "redis://host", RedisAddress(text="", hosts=(("host", 6379),))),
            (
                "redis://:w%40rd@host:1/2",
                "redis://host:1/2",
                RedisAddress(text="", hosts=(("host", 1),), password="w@rd", db=2),
            ),
            (
                "rediss://user:word@[::1]:6380?ssl_ca_certs=/ca&ssl_certfile=/cert&ssl_keyfile=/key",
                "rediss://[::1]:6380",
                replace(tls, hosts=(("::1", 6380),), username="user", password="word"),
            ),
            (
                "unix:///run/redis.sock?db=3",
                "unix:///run/redis.sock",
                RedisAddress(text="", path="/run/redis.sock", db=3),
            ),
            (
                "redis+sentinel://:word@a,b:7/main/4?sentinel_username=me&sentinel_password=too",
                "redis+sentinel://a,b:7/main/4",
                RedisAddress(
                    text="",
                    hosts=(("a", 26379), ("b", 7)),
                    master="main",
                    password="word",
                    sentinel_username="me",
                    sentinel_password="too",
                    db=4,
                ),
            ),
        ):
            self.assertEqual(self.read({"redis-url": url}).redis, replace(expected, text=text))
        self.assertIsNone(self.read({"redis-url": "none"}).redis)

    def test_bad_redis_url(self) -> None:
        """Command line: any other URL is one sentence with the forms there are."""
        for url in (
            "host",
            "http://host",
            "redis:",
            "redis://",
            "redis://:6379",
            "redis://h:x",
            "redis://h:0",
            "redis://h/one",
            "redis://h/1/2",
            "redis://h?db=1",
            "unix:",
            "unix://host/path",
            "redis+sentinel://a:26379",
            "redis://[x",
        ):
            self.assert_fault(("--redis-url", "redis://[USER:PASSWORD@]HOST"), {**REQUIRED, "redis-url": url})

    def test_workers(self) -> None:
        """Command line: workers need a Redis between them, and ports that can be shared."""
        self.assertEqual(self.read({"workers": "4"}).workers, 4)
        self.assertIn("4 workers", self.read({"workers": "4"}).explain())
        given = {**REQUIRED, "workers": "4"}
        self.assert_fault(("--workers", "Redis"), {**given, "redis-url": "none"})
        self.assert_fault(("--workers", "HOST:PORT"), {**given, "websocket-host": "unix:/run/slanger"})
        self.assert_fault(("--reuse-port", "HOST:PORT"), {**REQUIRED, "reuse-port": True, "api-host": "tcp:80"})

    def test_as_environment(self) -> None:
        """Workers: an environment says all that the command line said, and a secret given there wins."""
        variables = {"PATH": "/bin", "SLANGER_SECRET": "old", "SLANGER_APP_KEY": "old", "SLANGER_VERBOSE": "yes"}
        given: Given = {"secret-file": "/run/secret", "app-key": KEY, "client-events": False, "check": True}
        self.assertEqual(
            as_environment(given, variables),
            {
                "PATH": "/bin",
                "SLANGER_SECRET_FILE": "/run/secret",
                "SLANGER_APP_KEY": KEY,
                "SLANGER_CLIENT_EVENTS": "no",
                "SLANGER_CHECK": "yes",
                "SLANGER_VERBOSE": "yes",
            },
        )

    def test_redis_prefix(self) -> None:
        """Command line: a prefix that could be taken for something else is refused."""
        self.assertEqual(self.read({"redis-prefix": "my.chat-2:a"}).redis_prefix, "my.chat-2:a")
        for prefix in ("a b", "a*", "{a}"):
            self.assert_fault(("--redis-prefix", "letters"), {**REQUIRED, "redis-prefix": prefix})

    def test_termination_code(self) -> None:
        """Command line: the close code of terminated connections is one of two, by flag or environment."""
        self.assertEqual(only_app(self.read()).termination_code, 4009)
        for code in (4009, 4200):
            self.assertEqual(only_app(self.read({"termination-code": str(code)})).termination_code, code)
            self.assertEqual(only_app(self.read(SLANGER_TERMINATION_CODE=str(code))).termination_code, code)
        for bad in ("4000", "0", "x", "4300"):
            words = ("--termination-code", repr(bad), "4009, 4200")
            self.assert_fault(words, {**REQUIRED, "termination-code": bad})


class AddressTests(SettingsTestCase):
    """Addresses, as people write them."""

    def test_forms(self) -> None:
        """Addresses: host and port, each may be left out; IPv6 stands in brackets."""
        for text, host, port in (
            ("127.0.0.1:9000", "127.0.0.1", 9000),
            ("localhost:1", "localhost", 1),
            (":9000", "0.0.0.0", 9000),
            ("[::1]:9000", "::1", 9000),
            ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
        ):
            address = read_address("--websocket-host", text, 8080)
            self.assertEqual(address, Address(text, host, port, None, tls=False))

    def test_host_alone(self) -> None:
        """Addresses: where the port is left out, whoever reads the address is told which it is."""
        for text, host in (("127.0.0.1", "127.0.0.1"), ("push.example.com", "push.example.com"), ("[::]", "::")):
            address = read_address("--websocket-host", text, 8080)
            self.assertEqual(address, Address(f"{text}:8080", host, 8080, None, tls=False))

    def test_endpoint_strings(self) -> None:
        """Addresses: any endpoint string of Twisted will do."""
        for text in ("tcp:9000", "tcp:9000:interface=127.0.0.1", "unix:/run/slanger.sock", "ssl:443:privateKey=k.pem"):
            address = read_address("--api-host", text, 4567)
            self.assertEqual((address.text, address.endpoint), (text, text))
            self.assertEqual(endpoint_string(address), text)
        self.assertEqual(
            read_address("--api-host", "systemd:domain=INET:name=api", 1).endpoint, "systemd:domain=INET:name=api"
        )

    def test_endpoint_string_of_an_address(self) -> None:
        """Addresses: an address becomes an endpoint string, the colons of IPv6 quoted."""
        for text, expected in (
            ("127.0.0.1:9000", "tcp:9000:interface=127.0.0.1:backlog=1024"),
            ("[::1]:9000", "tcp:9000:interface=\\:\\:1:backlog=1024"),
        ):
            self.assertEqual(endpoint_string(read_address("-a", text, 1)), expected)

    def test_bad_forms(self) -> None:
        """Addresses: anything else is one sentence with the forms there are."""
        for text in (
            "host:",
            "host:x",
            "1:2:3",
            "::1",
            "::1:8080",
            "[::1",
            "host:65536",
            "host:99999999",
            "a b:1",
            "[::1]x",
            "h:-1",
        ):
            for option in ("websocket-host", "api-host"):
                self.assert_fault(
                    (f"--{option}", repr(text), "HOST:PORT", "[IPV6]:PORT", "Twisted endpoint string"),
                    {**REQUIRED, option: text},
                )

    def test_inherited(self) -> None:
        """Addresses: `systemd:NAME` is a socket that systemd listens on; it may speak TLS; Twisted's form stays."""
        address = read_address("--api-host", "systemd:slanger-api", 1)
        self.assertEqual((address.inherited, with_tls(address, "-a").tls), ("slanger-api", True))
        for other in ("systemd:domain=INET:name=api", "127.0.0.1:80", "unix:/s"):
            self.assertIsNone(read_address("-a", other, 1).inherited)
        for text in ("systemd:", "systemd:a b", "systemd:a:b"):
            self.assert_fault(("--api-host", repr(text), "FileDescriptorName"), {**REQUIRED, "api-host": text})

    def test_inherited_by_workers(self) -> None:
        """Workers: a socket of systemd's cannot be shared out among them."""
        for switch in ({"workers": "2"}, {"reuse-port": True}):
            given: Given = {**REQUIRED, **switch, "api-host": "systemd:api"}
            self.assert_fault((f"--{next(iter(switch))}", "HOST:PORT", "systemd:api"), given)

    def test_same_place(self) -> None:
        """Addresses: two mean one port when they say the same, however they are written."""

        def same(one: str, two: str) -> bool:
            return read_address("-w", one, 8080).same_place(read_address("-a", two, 4567))

        for one, two in (
            (":9", "0.0.0.0:9"),
            ("a", "a:8080"),
            ("a:4567", "a"),
            ("[::1]:9", "[::1]:9"),
            ("unix:/s", "unix:/s"),
        ):
            self.assertTrue(same(one, two), (one, two))
        for one, two in (
            ("a:1", "a:2"),
            ("a:1", "b:1"),
            (":1", "[::]:1"),
            ("unix:/s", "unix:/t"),
            ("a", "a"),
            ("tcp:1", ":1"),
        ):
            self.assertFalse(same(one, two), (one, two))

    def test_defaults_are_apart(self) -> None:
        """Addresses: without options there are two ports."""
        settings = self.read()
        self.assertFalse(settings.websocket.same_place(settings.api))
        settings = self.read({"websocket-host": ":9", "api-host": "0.0.0.0:9"})
        self.assertTrue(settings.websocket.same_place(settings.api))


class TlsTests(SettingsTestCase):
    """Which ports speak TLS."""

    def test_off(self) -> None:
        """TLS: without a certificate no port speaks it."""
        settings = self.read()
        self.assertEqual((settings.websocket.tls, settings.api.tls), (False, False))

    def test_ports(self) -> None:
        """TLS: with one, both do, unless told otherwise."""
        for ports, websocket, api in (
            (None, True, True),
            ("both", True, True),
            ("websocket", True, False),
            ("api", False, True),
        ):
            given: Given = {"tls-cert": "c.pem", **({"tls-ports": ports} if ports else {})}
            settings = self.read(given)
            self.assertEqual((settings.websocket.tls, settings.api.tls), (websocket, api))
        settings = self.read(SLANGER_TLS_CERT="c.pem", SLANGER_TLS_PORTS="api")
        self.assertEqual((settings.websocket.tls, settings.api.tls), (False, True))

    def test_key(self) -> None:
        """TLS: the key is in the certificate's file, unless it has one of its own."""
        self.assertEqual(self.read({"tls-cert": "c.pem"}).tls_key, "c.pem")
        self.assertEqual(self.read({"tls-cert": "c.pem", "tls-key": "k.pem"}).tls_key, "k.pem")
        self.assertEqual(self.read({"tls-cert": "c.pem"}, SLANGER_TLS_KEY="k.pem").tls_key, "k.pem")

    def test_key_alone(self) -> None:
        """TLS: a key without a certificate is a fault."""
        self.assert_fault(("--tls-key", "--tls-cert"), {**REQUIRED, "tls-key": "k.pem"})

    def test_unknown_ports(self) -> None:
        """TLS: the ports are named by three words."""
        self.assert_fault(
            ("--tls-ports", "'none'", "both, websocket, api"), {**REQUIRED, "tls-cert": "c.pem", "tls-ports": "none"}
        )

    def test_one_port(self) -> None:
        """TLS: one port cannot speak TLS for one of the two alone."""
        one_port = {**REQUIRED, "tls-cert": "c.pem", "api-host": ":9", "websocket-host": ":9"}
        self.assertTrue(read_settings(one_port, {}).websocket.tls)
        for ports in ("websocket", "api"):
            self.assert_fault(("--tls-ports", "one port", "expected both"), {**one_port, "tls-ports": ports})

    def test_endpoint_string(self) -> None:
        """TLS: an endpoint string says itself whether it speaks TLS; the certificate is not for it."""
        for option, others in (("websocket-host", "api"), ("api-host", "websocket")):
            given = {**REQUIRED, "tls-cert": "c.pem", option: "tcp:9"}
            self.assert_fault((f"--{option}", "tcp:9", "--tls-cert", "--tls-ports"), given)
            settings = read_settings({**given, "tls-ports": others}, {})
            self.assertEqual(sorted((settings.websocket.tls, settings.api.tls)), [False, True])
