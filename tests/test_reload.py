"""Settings that are read again: a whole node in memory, and its settings file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import trustme
import txaio.tx
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IOpenSSLContextFactory, IProtocolFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger.assembly import assemble
from slanger.domain.limits import Limits
from slanger.faults import StartupFault
from slanger.reload import Reload
from slanger.settings import LIVE, Settings, read_settings
from slanger.settings.options import FIXED
from tests.api.requests import Connection, request_bytes, signed_target
from tests.test_certificates import handshake
from tests.transports.client import Client, close_of

NOW = 1353088179
KEPT, OTHER = "kept-key", "other-key"
SECRET = "a-secret"
VALUES = {"verbose": "true", "cors-origins": '["https://one.example"]'}
"""What options are set to that count nothing."""


def app(key: str, more: str = "", secret: str = SECRET) -> str:
    """Write the table of an app."""
    return f'[[apps]]\nkey = "{key}"\nsecret = "{secret}"\n{more}\n'


class ReloadTestCase(SynchronousTestCase):
    """A node that was started with a settings file."""

    def setUp(self) -> None:
        """Have a folder, and a reactor in memory."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)
        self.file = self.folder / "slanger.toml"
        self.reactor = MemoryReactorClock()
        self.reactor.advance(NOW)
        self.patch(txaio.tx.config, "loop", self.reactor)

    def read(self) -> Settings:
        """Read the settings."""
        return read_settings({"config": str(self.file), "redis-url": "none"}, {})

    def write(self, *parts: str) -> None:
        """Write the settings file."""
        self.file.write_text("".join(f"{part}\n" for part in parts), encoding="utf-8")

    def begin(self, *parts: str, read: Callable[[], Deferred[Settings]] | None = None) -> None:
        """Start with these settings."""
        self.write(*parts)
        numbers = iter(range(1, 1000))
        read = read or (lambda: maybeDeferred(self.read))
        self.node: MultiService = assemble(self.read(), self.reactor, lambda below: next(numbers), read=read)
        self.node.privilegedStartService()
        self.node.startService()

    def reload(self, *parts: str) -> list[tuple[str, str]]:
        """Write the settings file, and have it read again; give the levels and lines of the log."""
        self.write(*parts)
        with capturedLogs() as logs:
            cast(Reload, self.node.getServiceNamed("reload")).reload()
            self.reactor.advance(0)
        return [(event["log_level"].name, formatEvent(event)) for event in logs]

    def server(self, port: int) -> Any:
        """Find what listens on a port: the factory, and its certificate where there is one."""
        servers = (*self.reactor.tcpServers, *self.reactor.sslServers)
        (server,) = [each[1:3] for each in servers if each[0] == port]
        return server

    def connect(self, key: str = KEPT) -> Client:
        """Connect a client."""
        client = Client(self.reactor, cast(IProtocolFactory, self.server(8080)[0]), f"/app/{key}?protocol=7")
        client.shake_hands()
        self.reactor.advance(0)
        return client

    def hear(self, client: Client) -> list[tuple[str, Any]]:
        """Give the events a client has heard since the last look."""
        self.reactor.advance(0)
        return [(each["event"], each["data"]) for each in client.messages()]

    def trigger(self, key: str = KEPT, size: int = 1) -> int:
        """Send an event to the news of an app, and give the status."""
        body = json.dumps({"name": "price", "channel": "news", "data": "1" * size}).encode()
        connection = Connection(self.server(4567)[0], self.reactor)
        target = signed_target("POST", "/apps/3/events", (), body, NOW, key, SECRET)
        connection.say(request_bytes("POST", target, body))
        (response,) = connection.read()
        return response.status


class Apps(ReloadTestCase):
    """Apps that come, go and change."""

    def test_apps(self) -> None:
        """Reload: an app is added, one changed, one removed, one disabled; clients of the others notice nothing."""
        self.begin(app(KEPT), app(OTHER), app("off-key"))
        kept, other, off = (self.connect(key) for key in (KEPT, OTHER, "off-key"))
        kept.tell("pusher:subscribe", {"channel": "news"})
        self.hear(kept)
        lines = self.reload(app(KEPT, "presence-members = 1"), app("new-key"), app("off-key", "enabled = false"))
        words = "apps added: new-key; apps changed: kept-key, off-key; apps removed: other-key"
        self.assertEqual(lines, [("info", f"the settings were read again: {words}")])
        self.assertEqual(close_of(other.frames())[0], 4001)
        self.assertEqual(close_of(off.frames())[0], 4003)
        self.assertEqual([self.trigger(key) for key in (KEPT, "new-key", OTHER, "off-key")], [200, 200, 400, 403])
        self.assertEqual(self.hear(kept), [("price", "1")])
        self.assertEqual(self.hear(self.connect("new-key"))[0][0], "pusher:connection_established")

    def test_larger_messages(self) -> None:
        """Reload: larger limits hold for what a client sends, what a request holds, and connections that are there."""
        self.begin(app(KEPT))
        client = self.connect()
        self.hear(client)
        self.assertEqual(self.trigger(size=200_000), 413)
        self.reload(app(KEPT, "event-data-bytes = 1000000"))
        self.assertEqual(self.trigger(size=200_000), 200)
        client.tell("client-hello", "x" * 500_000, channel="private-room")
        ((event, data),) = self.hear(client)
        self.assertEqual(event, "pusher:error")
        self.assertIn("not subscribed", data["message"])

    def test_nothing(self) -> None:
        """Reload: settings that are as they were change nothing, and the log says so."""
        self.begin(app(KEPT))
        words = "the settings were read again: nothing has changed"
        self.assertEqual(self.reload(app(KEPT)), [("info", words)])

    def test_webhooks(self) -> None:
        """Reload: what waits for an endpoint that is taken out is given up, and the log tells how much."""
        url = "http://127.0.0.1:9/hook"
        self.begin(app(KEPT, f'webhooks = [{{ url = "{url}" }}]'))
        client = self.connect()
        for channel in ("one", "two"):
            client.tell("pusher:subscribe", {"channel": channel})
        self.assertEqual(
            self.reload(app(KEPT)),
            [
                ("warn", f"webhook events for {url} that were not sent: 2"),
                ("info", "the settings were read again: apps changed: kept-key"),
            ],
        )

    def test_documentation(self) -> None:
        """Reload: the log says what the documentation shows."""
        page = (Path(__file__).parents[1] / "docs" / "operations" / "reload.rst").read_text(encoding="utf-8")
        self.begin(app("chat"), app("old"))
        ((_, line),) = self.reload("activity-timeout = 7", app("chat", "client-events = false"), app("shop"))
        self.assertIn(f"   {line}\n", page)
        ((_, line),) = self.reload(app("shop"), app("chat", "client-events = 'yes'"))
        self.assertIn(f"   {line.replace(str(self.folder) + '/', '')}\n", page)


class Broken(ReloadTestCase):
    """Settings that are wrong."""

    def test_broken(self) -> None:
        """Reload: whatever is wrong, everything stays as it was, and one sentence says why."""
        self.begin("activity-timeout = 100", app(KEPT), app(OTHER))
        client = self.connect(OTHER)
        self.hear(client)
        good = ("activity-timeout = 60", app("new-key"))
        for parts, words in (
            ((*good, "colour = 1"), "colour"),
            ((*good, "[[apps"), "not TOML"),
            ((*good, app("new-key")), "another app has this key"),
            (("activity-timeout = 60",), "no app key"),
            ((*good, '[[apps]]\nkey = "x"\nsecret-file = "/nonexistent"'), "/nonexistent: No such file"),
            ((*good, app("x", "client-events = 'yes'")), "expected true or false"),
        ):
            ((level, line),) = self.reload(*parts)
            self.assertEqual(level, "error")
            self.assertTrue(line.startswith("the settings stay as they were: "), line)
            self.assertIn(words, line)
            self.assertEqual(len(line.splitlines()), 1)
            self.assertNotIn(SECRET, line)
            self.assertEqual((self.trigger(OTHER), self.trigger("new-key")), (200, 400))
        self.file.unlink()
        self.assertRaises(StartupFault, self.read)
        self.assertEqual(self.hear(client), [])
        self.assertIn(":100}", self.hear(self.connect())[0][1].replace(" ", ""))

    def test_bug(self) -> None:
        """Reload: a fault of ours while reading leaves the node as it was, and able to read again."""
        faults: list[Exception] = [ZeroDivisionError()]

        def read() -> Settings:
            if faults:
                raise faults.pop()
            return self.read()

        self.begin(app(KEPT), read=lambda: maybeDeferred(read))
        self.reload(app(OTHER))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.trigger(KEPT), self.trigger(OTHER)), (200, 400))
        self.reload(app(OTHER))
        self.assertEqual((self.trigger(KEPT), self.trigger(OTHER)), (400, 200))


class NodeOptions(ReloadTestCase):
    """Options of the node."""

    def test_live(self) -> None:
        """Reload: the timeouts told to new clients, and kept with all, are the new ones."""
        self.begin(app(KEPT))
        old = self.connect()
        self.hear(old)
        lines = self.reload("activity-timeout = 5\npong-timeout = 3", app(KEPT))
        words = "the settings were read again: options changed: activity-timeout, pong-timeout"
        self.assertEqual(lines, [("info", words)])
        self.assertIn(":5}", self.hear(self.connect())[0][1].replace(" ", ""))
        new = self.connect()
        self.reactor.pump([1.0] * (5 + 15 + 1 + 3 + 2))
        self.assertEqual(close_of(new.frames())[0], 4201)

    def test_every_option_is_heeded(self) -> None:
        """Reload: each option of the node that the table calls live reaches some part; a new one is missed by this."""
        file = self.folder / "1.pem"
        trustme.CA().issue_cert("one.example").private_key_and_cert_chain_pem.write_to_path(str(file))
        certificate = f'tls-cert = "{file}"'
        self.begin(certificate, app(KEPT))
        plain = [option.name for option in LIVE if option.name not in ("tls-cert", "tls-key")]  # see below
        limits = [each.name.replace("_", "-") for each in fields(Limits)]
        texts = [f"{name} = {VALUES.get(name, '77')}" for name in (*plain, *limits)]
        ((_, words),) = self.reload(*texts, certificate, app(KEPT))
        self.assertEqual(words.partition("changed: ")[2].split(", "), [*plain, *limits])

    def test_fixed(self) -> None:
        """Reload: an option that needs a restart is named each time, and the rest is taken over."""
        self.begin(app(KEPT))
        texts = {"websocket-host": '":9"', "api-host": '":9"', "redis-prefix": '"x"', "workers": "1", "node-lease": "7"}
        for _ in range(2):
            *warnings, (level, _line) = self.reload(*(f"{name} = {text}" for name, text in texts.items()), app(OTHER))
            self.assertEqual(level, "info")
            named = [line.split()[4] for level, line in warnings if level == "warn" and "needs a restart" in line]
            self.assertEqual(named, ["api-host", "websocket-host", "redis-prefix", "node-lease"])
        self.assertEqual((self.trigger(KEPT), self.trigger(OTHER)), (400, 200))
        self.assertEqual([level for level, _ in self.reload(app(KEPT))], ["info"])
        self.assertFalse({option.name for option in FIXED} & {option.name for option in LIVE})

    def test_outside_the_file(self) -> None:
        """Reload: what the command line says stands above the file, now as before."""
        self.begin(app(KEPT))
        self.assertEqual([level for level, _ in self.reload('redis-url = "redis://elsewhere"', app(KEPT))], ["info"])


class TLS(ReloadTestCase):
    """Certificates."""

    def setUp(self) -> None:
        """Have an authority."""
        super().setUp()
        self.root = trustme.CA()

    def issue(self, name: str, file: str) -> str:
        """Issue a certificate; give the lines that name it."""
        path = self.folder / file
        self.root.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(path))
        return f'tls-cert = "{path}"'

    @property
    def shown(self) -> list[str]:
        """Tell which certificates are shown on both ports."""
        certificates = [cast(IOpenSSLContextFactory, self.server(port)[1]) for port in (8080, 4567)]
        return [handshake(certificate, self.root)[0] for certificate in certificates]

    def test_renewed(self) -> None:
        """Reload: a certificate that was renewed is shown at once on both ports, and so is one in another file."""
        line = self.issue("one.example", "1.pem")
        self.begin(line, app(KEPT))
        self.assertEqual(self.shown, ["one.example"] * 2)
        self.issue("two.example", "1.pem")
        self.reload(line, app(KEPT))
        self.assertEqual(self.shown, ["two.example"] * 2)
        self.reload(self.issue("three.example", "2.pem"), app(KEPT))
        self.assertEqual(self.shown, ["three.example"] * 2)

    def test_broken(self) -> None:
        """Reload: with a certificate that cannot be used nothing else is taken over either."""
        line = self.issue("one.example", "1.pem")
        self.begin(line, app(KEPT))
        (self.folder / "1.pem").write_bytes(b"")
        ((level, text),) = self.reload(line, app(OTHER))
        self.assertEqual(level, "error")
        self.assertIn("no certificate", text)
        self.assertEqual(self.shown, ["one.example"] * 2)
        self.assertEqual((self.trigger(KEPT), self.trigger(OTHER)), (200, 400))

    def test_with_and_without(self) -> None:
        """Reload: whether ports speak TLS at all needs a restart."""
        line = self.issue("one.example", "1.pem")
        self.begin(app(KEPT))
        self.assertEqual([level for level, _ in self.reload(line, app(KEPT))], ["warn", "info"])
        self.reactor.tcpServers.clear()
        self.begin(line, app(KEPT))
        lines = self.reload(app(OTHER))
        self.assertEqual(lines[0], ("warn", "the new value of tls-cert needs a restart, and is not in force"))
        self.assertEqual(self.shown, ["one.example"] * 2)


class UnderWay(ReloadTestCase):
    """Reading takes its time."""

    def begin_slowly(self) -> list[Deferred[Settings]]:
        """Start a node whose settings are read when the test says so."""
        reading: list[Deferred[Settings]] = []

        def read() -> Deferred[Settings]:
            reading.append(Deferred())
            return reading[-1]

        self.begin(app(KEPT), read=read)
        return reading

    def test_once_more(self) -> None:
        """Reload: asked for many times while it is under way, it is done once more, and the last settings hold."""
        reading = self.begin_slowly()
        for _ in range(3):
            self.reload(app(OTHER))
        self.assertEqual(len(reading), 1)
        reading[0].callback(self.read())
        self.write(app("last-key"))
        self.assertEqual(len(reading), 2)
        reading[1].callback(self.read())
        self.assertEqual([self.trigger(key) for key in (OTHER, "last-key")], [400, 200])
        self.assertEqual(len(reading), 2)

    def test_stopped(self) -> None:
        """Stop: settings that come too late are left alone."""
        reading = self.begin_slowly()
        self.reload(app(OTHER))
        self.node.stopService()
        self.reactor.pump([1.0] * 30)
        with capturedLogs() as logs:
            reading[0].callback(self.read())
        self.assertEqual(list(logs), [])
