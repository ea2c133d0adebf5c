"""The options of `twistd slanger`, and the parts put together."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from typing import Any

import trustme
import txaio.tx
from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slanger import __version__
from slanger.assembly import assemble
from slanger.faults import StartupFault
from slanger.settings import OPTIONS, SWITCHES, MissingOption
from slanger.settings.help import EXAMPLES, groups
from slanger.tap import Greeting, Options
from slanger.transports.proxied import ProxiedPort
from tests.api.requests import Connection, request_bytes, signed_target
from tests.server import KEY, SECRET
from tests.test_settings import only_app
from tests.transports.client import Client, close_of

REQUIRED = (f"--app-key={KEY}", f"--secret={SECRET}")


class OptionsTestCase(SynchronousTestCase):
    """Options on a command line, in an empty environment."""

    def setUp(self) -> None:
        """Empty the environment."""
        self.environment: dict[str, str] = {}
        self.patch(os, "environ", self.environment)

    def parse(self, *arguments: str) -> Options:
        """Parse arguments beside key and secret."""
        options = Options()
        options.parseOptions([*REQUIRED, *arguments])
        return options


class OptionsTests(OptionsTestCase):
    """The command line."""

    def test_short(self) -> None:
        """Command line: the six short flags of Slanger."""
        options = Options()
        options.parseOptions(["-k", "key", "-s", "word", "-r", "redis://r", "-a", "a:1", "-w", "w:2", "-v"])
        settings = options.settings
        assert settings.redis is not None
        self.assertEqual(
            (only_app(settings).key, only_app(settings).secret, settings.redis.text), ("key", "word", "redis://r")
        )
        self.assertEqual((settings.api.text, settings.websocket.text, settings.verbose), ("a:1", "w:2", True))

    def test_stray(self) -> None:
        """Command line: what belongs to no option is named, such as a value that somebody gives a switch."""
        fault = self.assertRaises(StartupFault, self.parse, "--verbose", "yes")
        self.assertIn("'yes' belongs to no option", str(fault))

    def test_underscores(self) -> None:
        """Command line: Slanger's own spellings, with `=` or a space, mean the same."""
        for app_key, redis in (
            ("--app_key", "--redis_address"),
            ("--app-key", "--redis-address"),
            ("--app_key", "--redis_url"),
        ):
            for joined in (True, False):
                pairs = [(app_key, "key"), (redis, "redis://r"), ("--api_host", "a:1"), ("--websocket_host", "w:2")]
                arguments = (
                    [f"{name}={value}" for name, value in pairs]
                    if joined
                    else [each for pair in pairs for each in pair]
                )
                options = Options()
                options.parseOptions([*arguments, "--secret", "word"])
                settings = options.settings
                assert settings.redis is not None
                self.assertEqual((only_app(settings).key, settings.redis.text), ("key", "redis://r"))
                self.assertEqual((settings.api.text, settings.websocket.text), ("a:1", "w:2"))

    def test_underscores_of_all(self) -> None:
        """Command line: every option is understood with underscores."""
        settings = self.parse(
            "--activity_timeout=7", "--tls_cert=c", "--no_client_events", "--no_subscription_errors"
        ).settings
        self.assertEqual((settings.activity_timeout, settings.tls_cert), (7, "c"))
        self.assertEqual((only_app(settings).client_events, only_app(settings).subscription_errors), (False, False))

    def test_switches(self) -> None:
        """Command line: a switch is turned on by its name, and off by `--no-` and its name."""
        for switch in SWITCHES:
            if switch.name == "check":
                continue  # it ends the process; it has tests of its own
            for arguments, state in (
                ((f"--{switch.name}",), True),
                ((f"--no-{switch.name}",), False),
                ((), switch.default),
            ):
                settings = self.parse(*arguments).settings
                name = switch.name.replace("-", "_")
                self.assertIs(getattr(settings if hasattr(settings, name) else only_app(settings), name), state)

    def test_environment(self) -> None:
        """Command line: everything can be given in the environment instead; flags win."""
        self.environment.update(SLANGER_APP_KEY="key", SLANGER_SECRET="word", SLANGER_CLIENT_EVENTS="no")
        options = Options()
        options.parseOptions([])
        app = only_app(options.settings)
        self.assertEqual((app.key, app.secret, app.client_events), ("key", "word", False))
        app = only_app(self.parse("--client-events").settings)
        self.assertEqual((app.key, app.secret, app.client_events), (KEY, SECRET, True))

    def test_unknown(self) -> None:
        """Command line: an option or an argument nobody knows is a fault of one sentence."""
        for arguments in (["--colour=red"], ["extra"], ["--app-key"], ["--verbose=1"], ["-x"]):
            text = str(self.assertRaises(StartupFault, Options().parseOptions, arguments))
            self.assertEqual(len(text.splitlines()), 1, text)
            self.assertIn("twistd slanger --help", text)

    def test_missing(self) -> None:
        """Command line: where key or secret are missing, usage is printed, and the fault is a sentence."""
        for arguments in ([], [REQUIRED[0]], [REQUIRED[1]]):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                self.assertRaises(MissingOption, Options().parseOptions, arguments)
            self.assertIn("--app-key", printed.getvalue())
            self.assertNotIn(SECRET, printed.getvalue())

    def test_version(self) -> None:
        """Command line: `--version` shows slanger's own version, not Twisted's."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            end = self.assertRaises(SystemExit, Options().parseOptions, ["--version"])
        self.assertEqual((printed.getvalue(), end.code), (f"slanger {__version__}\n", 0))

    def test_usage(self) -> None:
        """Command line: `--help` shows each option once, under its first spelling, with its default."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            end = self.assertRaises(SystemExit, Options().parseOptions, ["--help"])
        self.assertIn(end.code, (0, None))
        shown = printed.getvalue()
        for option in OPTIONS:
            self.assertRegex(shown, rf" --{option.name} [A-Z]")
        for switch in SWITCHES:
            self.assertIn(f" --[no-]{switch.name}", shown)
        for name in (*(option.name for option in OPTIONS), *(switch.name for switch in SWITCHES)):
            if "-" in name:
                self.assertNotIn(f"--{name.replace('-', '_')}", shown)
        self.assertNotIn("--redis-address", shown)
        for option in OPTIONS:
            if option.default:
                self.assertIn(f"[{option.default}]", " ".join(shown.split()))

    def test_help_stands_alone(self) -> None:
        """Command line: `--help` groups the options, says where else they are given, and shows commands that work."""
        for columns, width in (("60", 80), ("120", 120), ("wide", 100)):
            self.environment.update(COLUMNS=columns)
            shown = str(Options())
            self.assertLessEqual(max(len(line) for line in shown.splitlines() if "twistd" not in line), width)
            for words in ("\nLimits of the app:\n", "\nOther nodes:\n", "SLANGER_APP_KEY", "\nExit status 0"):
                self.assertIn(words, shown)
        named = [option.name for group in groups() for option in group.options]
        self.assertEqual(sorted(named), sorted(each.name for each in (*OPTIONS, *SWITCHES)))
        secret = self.enterContext(tempfile.NamedTemporaryFile("w+", encoding="utf-8"))
        secret.write('[[apps]]\nkey = "my-key"\nsecret = "word"\n')
        secret.flush()
        for _, command in EXAMPLES:
            _, _, arguments = command.partition(" slanger ")
            given = [part.replace("slanger.toml", secret.name) for part in arguments.split() if part != "--check"]
            given = [secret.name if part == "secret" else part for part in given]
            options = Options()
            options.parseOptions(given)
            self.assertEqual(only_app(options.settings).key, "my-key")


class AssembleTests(OptionsTestCase):
    """A whole node on a reactor in memory."""

    def setUp(self) -> None:
        """Make a reactor, which Autobahn's timers run by too."""
        super().setUp()
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1353088179)
        self.patch(txaio.tx.config, "loop", self.reactor)

    def assemble(self, *arguments: str) -> MultiService:
        """Put a node together, and start it."""
        numbers = iter(range(1, 100))
        node = assemble(self.parse(*arguments).settings, self.reactor, lambda below: next(numbers))
        node.privilegedStartService()
        node.startService()
        return node

    def server(self, port: int) -> IProtocolFactory:
        """Find the factory that listens on a port."""
        factory: IProtocolFactory
        (factory,) = [server[1] for server in (*self.reactor.tcpServers, *self.reactor.sslServers) if server[0] == port]
        return factory

    def connect(self, port: int) -> Client:
        """Connect a client."""
        client = Client(self.reactor, self.server(port), f"/app/{KEY}?protocol=7")
        client.shake_hands()
        self.reactor.advance(0)
        (established,) = client.messages()
        self.assertEqual(established["event"], "pusher:connection_established")
        return client

    def trigger(self, port: int) -> int:
        """Send an event, and give the status."""
        body = b'{"name":"price","channel":"news","data":"1"}'
        connection = Connection(self.server(port), self.reactor)
        connection.say(request_bytes("POST", signed_target("POST", "/apps/3/events", (), body), body))
        (response,) = connection.read()
        return response.status

    def assert_works(self, websocket_port: int, api_port: int) -> None:
        """Send an event through both."""
        client = self.connect(websocket_port)
        client.tell("pusher:subscribe", {"channel": "news"})
        self.assertEqual(self.trigger(api_port), 200)
        self.reactor.advance(0)
        events = [(each["event"], each["data"]) for each in client.messages()]
        self.assertEqual(events, [("pusher_internal:subscription_succeeded", "{}"), ("price", "1")])

    def test_two_ports(self) -> None:
        """Start: WebSockets and API on two ports, as Slanger had them."""
        self.assemble()
        self.assertEqual(
            [(server[0], server[3]) for server in self.reactor.tcpServers], [(8080, "0.0.0.0"), (4567, "0.0.0.0")]
        )
        self.assert_works(8080, 4567)

    def test_one_port(self) -> None:
        """Start: both on one port, when they are given the same address."""
        self.assemble("-a", "127.0.0.1:9000", "-w", "127.0.0.1:9000")
        self.assertEqual([(server[0], server[3]) for server in self.reactor.tcpServers], [(9000, "127.0.0.1")])
        self.assert_works(9000, 9000)

    def test_proxy_protocol(self) -> None:
        """Start: PROXY headers are expected at the ports that were named, and the address in them is the client's."""
        for ports, websocket, api in (("both", True, True), ("websocket", True, False), ("api", False, True)):
            self.reactor.tcpServers.clear()
            self.assemble("--trusted-proxies=unix", f"--proxy-protocol={ports}", f"--path-prefix=/{ports}")
            found = [isinstance(self.server(port), ProxiedPort) for port in (8080, 4567)]
            self.assertEqual(found, [websocket, api])
        self.reactor.tcpServers.clear()
        self.assemble("--trusted-proxies=192.0.2.7", "--proxy-protocol=both", "-a", ":9", "-w", ":9")
        connection = self.server(9).buildProtocol(IPv4Address("TCP", "192.0.2.7", 5150))
        assert connection is not None
        transport = StringTransport()
        connection.makeConnection(transport)
        connection.dataReceived(b"PROXY TCP4 198.51.100.1 192.0.2.1 56324 443\r\n" + request_bytes("GET", "/health"))
        self.reactor.advance(0)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 OK"), transport.value())

    def test_ipv6(self) -> None:
        """Start: addresses of IPv6."""
        self.assemble("-w", "[::1]:9000", "-a", "[::]:9001")
        self.assertEqual([(server[0], server[3]) for server in self.reactor.tcpServers], [(9000, "::1"), (9001, "::")])

    def test_endpoint_strings(self) -> None:
        """Start: endpoint strings of Twisted."""
        self.assemble("-w", "tcp:9000:interface=127.0.0.1", "-a", "unix:slanger.sock")
        self.assertEqual(self.reactor.tcpServers[0][3], "127.0.0.1")
        self.assertEqual(self.reactor.unixServers[0][0], "slanger.sock")

    def test_tls(self) -> None:
        """Start: with a certificate the ports speak TLS: both, or the one that was named."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        file = f"{directory.name}/both.pem"
        trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
        for arguments, tls, plain in (
            ((), [8080, 4567], []),
            (("--tls-ports=websocket",), [8080], [4567]),
            (("--tls-ports=api",), [4567], [8080]),
            (("-a", ":9", "-w", ":9"), [9], []),
        ):
            self.reactor.sslServers.clear()
            self.reactor.tcpServers.clear()
            self.assemble(f"--tls-cert={file}", *arguments)
            self.assertEqual([server[0] for server in self.reactor.sslServers], tls)
            self.assertEqual([server[0] for server in self.reactor.tcpServers], plain)

    def test_faults(self) -> None:
        """Start: a certificate or an endpoint string that is of no use is a fault, before any port is taken."""
        for arguments in (
            ("--tls-cert=/nonexistent",),
            ("-w", "tcp:x"),
            ("-a", "ssl:443:privateKey=/nonexistent"),
            ("-w", "tcp:1:colour=red"),
            ("-a", "systemd:domain=INET:name=api"),
        ):
            settings = self.parse(*arguments).settings
            fault = self.assertRaises(StartupFault, assemble, settings, self.reactor, lambda below: 1)
            self.assertEqual(len(str(fault).splitlines()), 1, str(fault))
        self.assertEqual(self.reactor.tcpServers, [])

    def test_stop(self) -> None:
        """Stop: clients are sent away with 4200, and every port is let go of."""
        node = self.assemble()
        client = self.connect(8080)
        node.stopService()
        self.assertEqual(close_of(client.frames())[0], 4200)

    def test_client_events(self) -> None:
        """Client events: on as in Slanger; `--no-client-events` turns them off."""
        for arguments, words in (((), "not subscribed"), (("--no-client-events",), "must enable")):
            self.reactor.tcpServers.clear()
            self.assemble(*arguments)
            client = self.connect(8080)
            client.tell("client-typing", "{}", channel="private-chat")
            self.reactor.advance(0)
            (error,) = client.messages()
            self.assertIn(words, error["data"]["message"])

    def test_app_id(self) -> None:
        """App ids: any, unless `--app-id` names one."""
        for arguments, status in (((), 200), (("--app-id=3",), 200), (("--app-id=4",), 404)):
            self.reactor.tcpServers.clear()
            self.assemble(*arguments)
            self.assertEqual(self.trigger(4567), status)

    def test_activity_timeout(self) -> None:
        """Ping and pong: `--activity-timeout` and `--pong-timeout` are the ones that hold."""
        self.assemble("--activity-timeout=5", "--pong-timeout=3")
        client = self.connect(8080)
        self.reactor.pump([1.0] * (5 + 15 + 1 + 3 + 2))
        self.assertEqual(close_of(client.frames())[0], 4201)


class GreetingTests(OptionsTestCase):
    """What is said at the start."""

    def said(self, *arguments: str) -> list[dict[str, Any]]:
        """Start the greeting, and give the events it logs."""
        with capturedLogs() as captured:
            Greeting(self.parse(*arguments).settings).privilegedStartService()
        return list(captured)

    def test_banner(self) -> None:
        """Start: the banner and the version come first."""
        banner, version, *_ = self.said()
        self.assertIn('"Y8888P"', formatEvent(banner))
        self.assertEqual((formatEvent(version), version["event"]), (f"slanger {__version__} starts", "start"))

    def test_banner_in_json(self) -> None:
        """Start: where machines read the log, there is no banner."""
        self.assertEqual([event.get("event") for event in self.said("--log-format=json")], ["start"])

    def test_alone(self) -> None:
        """Start: a node that is alone on purpose says so."""
        *_, alone = self.said("-r", "none")
        self.assertEqual(alone["log_level"].name, "info")
        self.assertIn("alone", formatEvent(alone))

    def test_secret(self) -> None:
        """Secret: it is not in what is said."""
        self.assertNotIn(SECRET, "".join(formatEvent(event) for event in self.said()))
