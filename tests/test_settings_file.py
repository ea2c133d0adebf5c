"""The settings file: several apps, the order of sources, and what is wrong in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.apps import App
from slanger.domain.webhooks import KINDS, PUSHER_KINDS, Endpoint
from slanger.faults import StartupFault
from slanger.settings import OPTIONS, SWITCHES, Settings, read_settings
from tests.server import SECRET
from tests.test_settings import ALL_NUMBERS, Given, member, only_app, variable

APP = f'[[apps]]\nkey = "shop-key"\nsecret = "{SECRET}"\n'
WEBHOOK = APP + '[[apps.webhooks]]\nurl = "https://shop.example/hooks"\n'
OF_APP = {option.key or "": option for option in OPTIONS if option.key}
NOT_IN_FILE = {"config", "webhook-url", "webhook-events"}
OF_NODE = [option for option in OPTIONS if option.key is None and option.name not in NOT_IN_FILE]
TEXTS = {
    "api-host": ("one:1", "two:2", "three:3"),
    "websocket-host": ("one:1", "two:2", "three:3"),
    "redis-url": ("redis://one", "redis://two", "redis://three"),
    "redis-prefix": ("one", "two", "three"),
    "tls-cert": ("one.pem", "two.pem", "three.pem"),
    "tls-key": ("one.pem", "two.pem", "three.pem"),
    "tls-ports": ("api", "websocket", "both"),
    "cors-origins": ("https://one", "https://two", "https://three"),
    "trusted-proxies": ("10.0.0.0/8", "192.0.2.1/32", "unix"),
    "proxy-protocol": ("api", "websocket", "both"),
    "path-prefix": ("/one", "/two", "/three"),
    "metrics-host": ("one:1", "two:2", "three:3"),
    "log-format": ("json", "text"),
}
NEEDS = {
    "tls-key": 'tls-cert = "c.pem"\n',
    "tls-ports": 'tls-cert = "c.pem"\n',
    "proxy-protocol": 'trusted-proxies = "unix"\n',
}
"""Options that mean nothing without others."""
ATTRIBUTES = {"api-host": "api", "websocket-host": "websocket", "redis-url": "redis"}
"""What settings call an option, where that is not its name."""


class FileTestCase(SynchronousTestCase):
    """Settings from a file."""

    def setUp(self) -> None:
        """Make an empty folder."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)

    def write(self, content: str | bytes, name: str = "slanger.toml") -> str:
        """Write a file, and give its path."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def read(self, content: str | bytes, given: Given | None = None, **environment: str) -> Settings:
        """Read a settings file, with flags and an environment."""
        return read_settings({"config": self.write(content), **(given or {})}, environment)

    def app(self, line: str = "") -> App:
        """Read a file with one app, whose table has one more line."""
        return only_app(self.read(APP + line))

    def assert_fault(
        self,
        content: str | bytes,
        *words: str,
        given: Given | None = None,
        environment: dict[str, str] | None = None,
        file: bool = True,
    ) -> str:
        """Check that a file is refused in one line that names it and has these words in it, and no secret.

        :param file: whether the fault is in the file.
        """
        flags = {"config": self.write(content), **(given or {})}
        fault = self.assertRaises(StartupFault, read_settings, flags, environment or {})
        text = str(fault.code)
        self.assertEqual(len(text.splitlines()), 1, text)
        self.assertTrue(text.startswith("slanger: "), text)
        self.assertNotIn(SECRET, text)
        for each in (*words, *([str(self.folder / "slanger.toml")] if file else ())):
            self.assertIn(each, text)
        return text


class OptionTests(FileTestCase):
    """What may stand in a file."""

    def test_config(self) -> None:
        """Settings file: it is named by a flag or in the environment; the flag stands first."""
        one, two = self.write(APP, "one.toml"), self.write(APP.replace("shop", "chat"), "two.toml")
        self.assertEqual(only_app(read_settings({"config": one}, {})).key, "shop-key")
        self.assertEqual(only_app(read_settings({}, {"SLANGER_CONFIG": two})).key, "chat-key")
        self.assertEqual(only_app(read_settings({"config": one}, {"SLANGER_CONFIG": two})).key, "shop-key")

    def test_defaults(self) -> None:
        """Settings file: what does not stand in it is as on a bare command line."""
        bare = read_settings({"app-key": "shop-key", "secret": SECRET}, {})
        self.assertEqual(self.read(APP), bare)

    def test_every_option_of_the_node(self) -> None:
        """Settings file: every option of the node may stand in it, numbers as numbers."""
        for option in OF_NODE:
            attribute = ATTRIBUTES.get(option.name, option.name.replace("-", "_"))
            others = NEEDS.get(option.name, "")
            if option.number:
                self.assertEqual(member(self.read(f"{option.name} = 7\n{APP}"), option.name), 7)
            elif option.name == "tls-ports":
                settings = self.read(f'{others}tls-ports = "api"\n{APP}')
                self.assertEqual((settings.websocket.tls, settings.api.tls), (False, True))
            else:
                text = TEXTS[option.name][0]
                found = getattr(self.read(f'{others}{option.name} = "{text}"\n{APP}'), attribute)
                self.assertEqual(getattr(found, "text", found), (text,) if option.several else text)
        self.assertEqual(self.read(f"drain-seconds = 0\n{APP}").drain_seconds, 0)

    def test_every_number_of_an_app(self) -> None:
        """Settings file: every limit may stand in an app's table, as a number."""
        limits = [key for key, option in OF_APP.items() if option.number and key != "termination-code"]
        self.assertEqual({*limits, *(each.name for each in OF_NODE if each.number)}, ALL_NUMBERS)
        for key in limits:
            self.assertEqual(getattr(self.app(f"{key} = 7"), key.replace("-", "_")), 7)

    def test_every_switch_of_an_app(self) -> None:
        """Settings file: every switch of an app may stand in its table, on and off."""
        for switch in SWITCHES:
            for state in (True, False):
                if switch.of_app:
                    app = self.app(f"{switch.name} = {str(state).lower()}")
                    self.assertIs(getattr(app, switch.name.replace("-", "_")), state)

    def test_termination_code(self) -> None:
        """Settings file: the close code of terminated connections is one of two."""
        self.assertEqual(self.app().termination_code, 4009)
        for code in (4009, 4200):
            self.assertEqual(self.app(f"termination-code = {code}").termination_code, code)

    def test_apps(self) -> None:
        """Settings file: each app has its own id, key, secret, switches and limits, in the order of the file."""
        secret = self.write(" chat-secret\n", "chat.secret")
        shop, chat = self.read(
            f'[[apps]]\nid = "1"\nkey = "shop-key"\nsecret = "shop-secret"\nclient-events = false\n'
            f'[[apps]]\nid = "2"\nkey = "chat-key"\nsecret-file = "{secret}"\npresence-members = 5\n'
        ).apps
        self.assertEqual(shop, App(id="1", key="shop-key", secret="shop-secret", client_events=False))
        self.assertEqual(chat, App(id="2", key="chat-key", secret="chat-secret", presence_members=5))

    def test_beside_the_command_line(self) -> None:
        """Settings file: the app of the command line is one more beside those of the file."""
        given: Given = {"app-key": "own-key", "secret": "own", "client-events": False}
        settings = self.read(APP, given, SLANGER_APP_ID="9", SLANGER_PRESENCE_MEMBERS="5")
        apps = {app.key: app for app in settings.apps}
        own = App(id="9", key="own-key", secret="own", client_events=False, presence_members=5)
        self.assertEqual(apps, {"own-key": own, "shop-key": App(key="shop-key", secret=SECRET)})

    def test_without_apps(self) -> None:
        """Settings file: it may have no apps where the command line has one."""
        settings = self.read("pong-timeout = 7\n", {"app-key": "own-key", "secret": "own"})
        self.assertEqual((only_app(settings).key, settings.pong_timeout), ("own-key", 7))

    def test_secret_of_the_environment(self) -> None:
        """Secret: neither the environment's nor systemd's goes to an app of the file."""
        self.write("other", "slanger-secret")
        settings = self.read(APP, CREDENTIALS_DIRECTORY=str(self.folder))
        self.assertEqual(only_app(settings).secret, SECRET)
        self.assert_fault('[[apps]]\nkey = "k"\n', "secret", environment={"CREDENTIALS_DIRECTORY": str(self.folder)})


class OrderTests(FileTestCase):
    """A flag, then the environment, then the file, then the default."""

    def test_flag_before_environment(self) -> None:
        """Order: a flag stands above the environment, with a file below both."""
        settings = self.read(f"pong-timeout = 9\n{APP}", {"pong-timeout": "7"}, SLANGER_PONG_TIMEOUT="8")
        self.assertEqual(settings.pong_timeout, 7)

    def test_flag_before_file(self) -> None:
        """Order: a flag stands above the file, for every option of the node."""
        self.check({"flag": 0, "file": 1}, 0)

    def test_flag_before_default(self) -> None:
        """Order: a flag stands above the default."""
        self.check({"flag": 0}, 0)

    def test_environment_before_file(self) -> None:
        """Order: the environment stands above the file, for every option of the node."""
        self.check({"environment": 0, "file": 1}, 0)

    def test_environment_before_default(self) -> None:
        """Order: the environment stands above the default."""
        self.check({"environment": 0}, 0)

    def test_file_before_default(self) -> None:
        """Order: the file stands above the default."""
        self.check({"file": 1}, 1)

    def test_switch(self) -> None:
        """Order: the same holds for every switch of the node, in both directions."""
        names = [switch.name for switch in SWITCHES if not switch.of_app and switch.name != "check"]
        self.assertIn("verbose", names)
        for name in names:
            for file, flag, environment, expected in (
                (True, False, "yes", False),
                (False, True, "no", True),
                (True, None, "no", False),
                (False, None, "yes", True),
                (True, None, "", True),
                (False, None, "", False),
            ):
                content = f"{name} = {'true' if file else 'false'}\n{APP}"
                given: Given = {} if flag is None else {name: flag}
                settings = self.read(content, given, **{variable(name): environment})
                self.assertIs(getattr(settings, name.replace("-", "_")), expected, name)

    def test_tables_of_apps(self) -> None:
        """Order: no flag and no variable changes an app of the file."""
        given: Given = {"app-key": "own-key", "secret": "own", "presence-members": "5", "client-events": False}
        settings = self.read(APP + "presence-members = 9\n", given, SLANGER_WATCHLISTS="no")
        apps = {app.key: app for app in settings.apps}
        self.assertEqual(apps["shop-key"], App(key="shop-key", secret=SECRET, presence_members=9))

    def check(self, places: dict[str, int], winner: int) -> None:
        """Give each option a different value in each place, and check which one holds."""
        for option in OF_NODE:
            values = ("7", "8") if option.number else TEXTS[option.name]
            written = [value if option.number else f'"{value}"' for value in values]
            others = NEEDS.get(option.name, "")
            line = f"{option.name} = {written[places['file']]}\n" if "file" in places else ""
            given: Given = {option.name: values[places["flag"]]} if "flag" in places else {}
            environment = {variable(option.name): values[places["environment"]]} if "environment" in places else {}
            settings = self.read(others + line + APP, given, **environment)
            if option.name == "tls-ports":
                self.assertEqual((settings.websocket.tls, settings.api.tls), ((False, True), (True, False))[winner])
                continue
            found = member(settings, ATTRIBUTES.get(option.name, option.name))
            expected = (values[winner],) if option.several else values[winner]
            self.assertEqual(getattr(found, "text", found if option.several else str(found)), expected, option.name)


class WebhookTests(FileTestCase):
    """`[[apps.webhooks]]`, and the endpoint of the command line."""

    def test_defaults(self) -> None:
        """Webhooks: an endpoint needs a URL; it hears of all of Pusher's kinds, on all channels, one at a time."""
        (endpoint,) = only_app(self.read(WEBHOOK)).webhooks
        expected = Endpoint(
            url="https://shop.example/hooks",
            kinds=frozenset(PUSHER_KINDS),
            channels=("*",),
            headers=(),
            batch=False,
        )
        self.assertEqual(endpoint, expected)

    def test_all_keys(self) -> None:
        """Webhooks: kinds, channels, headers and batching are each endpoint's own."""
        first, second = only_app(
            self.read(
                WEBHOOK + 'events = ["member_added", "connection_closed"]\nchannels = ["presence-*", "news"]\n'
                'headers = { X-Team = "chat", Authorization = "Bearer x" }\nbatch = true\n'
                '[[apps.webhooks]]\nurl = "http://[::1]:9/"\n'
            )
        ).webhooks
        self.assertEqual(first.kinds, {"member_added", "connection_closed"})
        self.assertEqual(first.channels, ("presence-*", "news"))
        self.assertEqual(dict(first.headers), {"X-Team": "chat", "Authorization": "Bearer x"})
        self.assertTrue(first.batch)
        self.assertEqual(second, Endpoint(url="http://[::1]:9/"))

    def test_every_kind(self) -> None:
        """Webhooks: each kind may be chosen alone."""
        for kind in KINDS:
            (endpoint,) = only_app(self.read(f'{WEBHOOK}events = ["{kind}"]\n')).webhooks
            self.assertEqual(endpoint.kinds, {kind})

    def test_per_app(self) -> None:
        """Webhooks: each app has its own endpoints, or none."""
        settings = self.read(WEBHOOK + APP.replace("shop", "chat"))
        self.assertEqual([len(app.webhooks) for app in settings.apps], [1, 0])

    def test_flags(self) -> None:
        """Webhooks: the app of the command line has one endpoint, and a choice of kinds, by flag or environment."""
        given: Given = {"app-key": "k", "secret": "s", "webhook-url": "http://one/"}
        self.assertEqual(only_app(read_settings(given, {})).webhooks, (Endpoint(url="http://one/"),))
        some = read_settings({**given, "webhook-events": "cache_miss, connection_opened"}, {})
        kinds = frozenset({"cache_miss", "connection_opened"})
        self.assertEqual(only_app(some).webhooks, (Endpoint(url="http://one/", kinds=kinds),))
        environment = {"SLANGER_WEBHOOK_URL": "http://two/", "SLANGER_WEBHOOK_EVENTS": "cache_miss"}
        settings = read_settings({"app-key": "k", "secret": "s"}, environment)
        self.assertEqual(only_app(settings).webhooks, (Endpoint(url="http://two/", kinds=frozenset({"cache_miss"})),))
        self.assertEqual(only_app(read_settings({"app-key": "k", "secret": "s"}, {})).webhooks, ())

    def test_bad_flags(self) -> None:
        """Webhooks: a bad URL and an unknown kind are refused on the command line too, and kinds without a URL."""
        given: Given = {"app-key": "k", "secret": "s"}
        for url in ("example.com", "ftp://a", "http://", "http:// a"):
            self.assert_fault(
                "", "--webhook-url", repr(url), "http://", given={**given, "webhook-url": url}, file=False
            )
        flags: Given = {**given, "webhook-url": "http://a"}
        for kinds in ("nonsense", "cache_miss,nonsense", "cache_miss,"):
            bad: Given = {**flags, "webhook-events": kinds}
            self.assert_fault("", "--webhook-events", repr(kinds.split(",")[-1]), *KINDS, given=bad, file=False)
        alone: Given = {**given, "webhook-events": "cache_miss"}
        self.assert_fault("", "--webhook-events", "--webhook-url", given=alone, file=False)


class FaultTests(FileTestCase):
    """Each fault names the file, the table and the key, what was found and what was expected."""

    def test_unknown_keys(self) -> None:
        """Settings file: a key nobody knows, at the top, of an app, of a webhook."""
        self.assert_fault(f"colour = 1\n{APP}", "unknown key", "colour")
        self.assert_fault(f"{APP}colour = 1\n", "apps[0]", "unknown key", "colour")
        self.assert_fault(f"{WEBHOOK}colour = 1\n", "apps[0].webhooks[0]", "unknown key", "colour")
        self.assert_fault(f'{APP}[[apps]]\nkey = "b"\nsecret = "c"\ncolour = 1\n', "apps[1]", "colour")

    def test_misplaced_keys(self) -> None:
        """Settings file: what belongs to an app is unknown at the top, and the other way round."""
        for key, option in OF_APP.items():
            value = "5" if option.number else '"5"'
            self.assert_fault(f"{key} = {value}\n{APP}", "unknown key", key)
        for switch in SWITCHES:
            place = f"{switch.name} = true\n{APP}" if switch.of_app else f"{APP}{switch.name} = true\n"
            self.assert_fault(place, "unknown key", switch.name)
        for option in OF_NODE:
            value = "5" if option.number else '"5"'
            self.assert_fault(f"{APP}{option.name} = {value}\n", "apps[0]", "unknown key", option.name)
        for name in ("config", "check", "webhook-url", "webhook-events", "app-key", "app-id"):
            self.assert_fault(f'{name} = "x"\n{APP}', "unknown key", name)

    def test_wrong_types(self) -> None:
        """Settings file: a value of the wrong type, for every key there is."""
        number, text, switch = "expected a whole number", "expected text", "expected true or false"
        for option in OF_NODE:
            wrong, expected = ('"7"', number) if option.number else ("7", text)
            found = wrong.replace('"', "'")
            self.assert_fault(f"{option.name} = {wrong}\n{APP}", f": {option.name}: ", expected, f"found {found}")
        for key, option in OF_APP.items():
            if key not in ("key", "secret"):
                wrong, expected = ('"7"', number) if option.number else ("7", text)
                self.assert_fault(f"{APP}{key} = {wrong}\n", f"apps[0].{key}: ", expected)
        for each in SWITCHES:
            if each.of_app:
                self.assert_fault(f'{APP}{each.name} = "yes"\n', f"apps[0].{each.name}: ", switch, "found 'yes'")
        self.assert_fault(f"verbose = 1\n{APP}", ": verbose: ", switch, "found 1")
        self.assert_fault('[[apps]]\nkey = 5\nsecret = "s"\n', "apps[0].key: ", text, "found 5")
        self.assert_fault("apps = 5\n", ": apps: ", "expected an array", "found 5")
        self.assert_fault('[apps]\nkey = "k"\n', ": apps: ", "expected an array", "got a table")
        for line, key, expected in (
            ("url = 5", "url", text),
            ("batch = 5", "batch", switch),
            ('channels = "x"', "channels", "expected an array"),
            ('events = "cache_miss"', "events", "expected an array"),
            ("channels = [5]", "channels[0]", text),
            ('headers = "x"', "headers", "expected a table"),
        ):
            content = WEBHOOK.replace('url = "https://shop.example/hooks"', line) if key == "url" else WEBHOOK + line
            self.assert_fault(content, f"apps[0].webhooks[0].{key}: ", expected)
        self.assert_fault(f"{WEBHOOK}headers = {{ a = 5 }}\n", "apps[0].webhooks[0].headers", text)

    def test_words_of_the_file(self) -> None:
        """Settings file: types and values are told in the file's own words."""
        self.assert_fault(f"pong-timeout = 1.5\n{APP}", "expected a whole number", "found 1.5")
        text = self.assert_fault(f"pong-timeout = true\n{APP}", "expected a whole number", "found true")
        self.assertNotIn("True", text)
        for value in ("1.5", "1979-05-27", "07:32:00", "[1]", "{ a = 1 }"):
            for name in ("pong-timeout", "api-host", "verbose"):
                text = self.assert_fault(f"{name} = {value}\n{APP}", f": {name}: ", "expected ")
                self.assertNotIn("`", text)

    def test_numbers(self) -> None:
        """Settings file: a number is no less and no more than on the command line, where nearly all are 1 or more."""
        least = {option.name: option.least for option in OPTIONS}
        self.assertEqual([name for name in ALL_NUMBERS if least[name] != 1], ["drain-seconds"])
        for name in ALL_NUMBERS:
            for bad in (str(least[name] - 1), "-2", "1000000000001"):
                if any(option.name == name for option in OF_NODE):
                    self.assert_fault(
                        f"{name} = {bad}\n{APP}", f": {name}: ", "expected a whole number", f"found {bad}"
                    )
                else:
                    self.assert_fault(f"{APP}{name} = {bad}\n", f"apps[0].{name}: ", "whole number", f"found {bad}")

    def test_termination_code(self) -> None:
        """Settings file: any other close code is refused with the two there are."""
        for code in (4000, 4300, 1):
            self.assert_fault(f"{APP}termination-code = {code}\n", "apps[0].termination-code", str(code), "4009, 4200")

    def test_values(self) -> None:
        """Settings file: a value that is refused on the command line is refused here, under its place."""
        self.assert_fault(f'api-host = "a:b:c"\n{APP}', ": api-host", "'a:b:c'", "HOST:PORT")
        self.assert_fault(f'tls-ports = "none"\n{APP}', ": tls-ports", "'none'", "both, websocket, api")
        self.assert_fault(f'tls-key = "k.pem"\n{APP}', ": tls-key", "--tls-cert")
        text = self.assert_fault(
            f'redis-url = "http://u:hunter2@h"\n{APP}', ": redis-url", "redis://[USER:PASSWORD@]HOST"
        )
        self.assertNotIn("hunter2", text)
        for key in ("a/b", "a:b", "a b", "é"):
            self.assert_fault(APP.replace("shop-key", key), "apps[0].key", repr(key), "expected")

    def test_webhooks(self) -> None:
        """Settings file: a webhook without a URL, with a bad one, of an unknown kind."""
        self.assert_fault(f"{APP}[[apps.webhooks]]\nbatch = true\n", "apps[0].webhooks[0]", "missing key", "url")
        place = "apps[0].webhooks[0].url: "
        for url in ("example.com", "ftp://a", "http://", "https:///x", ""):
            bad = WEBHOOK.replace("https://shop.example/hooks", url)
            self.assert_fault(bad, place, f"found {url!r}", "expected a URL with http:// or https://")
        bad = f'{WEBHOOK}events = ["cache_miss", "nonsense"]\n'
        self.assert_fault(bad, "apps[0].webhooks[0].events[1]: ", "found 'nonsense'", *KINDS)

    def test_unusable_urls(self) -> None:
        """Settings file: a URL that could never be reached, or holds a password, is refused too, and not at use."""
        for url in (
            "http://a:b/",
            "http://a:99999/",
            "http://a/x y",
            "http://a/\\n",
            "http://\u00e9/",
            "http://a/\u00e9",
        ):
            bad = WEBHOOK.replace("https://shop.example/hooks", url)
            self.assert_fault(bad, "apps[0].webhooks[0].url")
        bad = WEBHOOK.replace("https://", "https://user:hunter2@")
        self.assertNotIn("hunter2", self.assert_fault(bad, "apps[0].webhooks[0].url"))

    def test_headers(self) -> None:
        """Settings file: a header's name is a token of HTTP, its value one line."""
        for header in ('"a b" = "c"', '"" = "c"', '"a:" = "c"', '"é" = "c"', 'a = "b\\r\\nc: d"', 'a = "\\u0000"'):
            bad = f"{WEBHOOK}headers = {{ {header} }}\n"
            self.assert_fault(bad, "apps[0].webhooks[0].headers", "is not an HTTP header")

    def test_headers_of_the_protocol(self) -> None:
        """Settings file: a header that the protocol or HTTP sets cannot be set again, as SDKs would not verify."""
        for header in ("Content-Type", "content-type", "X-Pusher-Key", "X-Pusher-Signature", "Content-Length", "Host"):
            self.assert_fault(f'{WEBHOOK}headers = {{ {header} = "x" }}\n', "apps[0].webhooks[0].headers", header)

    def test_no_toml(self) -> None:
        """Settings file: what is not TOML is told with its place."""
        self.assert_fault("pong-timeout 5\n", "not TOML", "line 1")
        self.assert_fault(f"{APP}key = 'again'\n", "not TOML", "line 4")
        for content in (b"\xff\xfe", b"a = \x00", "x = [", "[[apps]\n"):
            self.assert_fault(content, "not TOML")
        self.assert_fault("a = " + "[" * 2000, "not TOML", "nested too deeply")
        self.assert_fault("a = " + "9" * 5000, "not TOML", "5000 digits")

    def test_unreadable(self) -> None:
        """Settings file: one that is missing, or a folder, is told by its name."""
        for path, words in ((self.folder / "missing", "No such file"), (self.folder, "Is a directory")):
            for given, environment in (({"config": str(path)}, {}), ({}, {"SLANGER_CONFIG": str(path)})):
                fault = self.assertRaises(StartupFault, read_settings, given, environment)
                self.assertIn(words, str(fault))
                self.assertIn(str(path), str(fault))
                self.assertIn("SLANGER_CONFIG" if environment else "--config", str(fault))

    def test_no_apps(self) -> None:
        """Settings file: one without apps is refused where the command line has none either."""
        for content in ("", "pong-timeout = 5\n", "apps = []\n"):
            self.assert_fault(content, "[[apps]]", "--app-key")

    def test_without_key(self) -> None:
        """Settings file: an app needs a key."""
        for content in (f'[[apps]]\nsecret = "{SECRET}"\n', '[[apps]]\nid = "1"\n', APP.replace("shop-key", "")):
            self.assert_fault(content, "apps[0].key")
        self.assert_fault(f'{APP}[[apps]]\nid = "1"\n', "apps[1].key")

    def test_without_secret(self) -> None:
        """Settings file: an app needs a secret, or a file of it."""
        for content in ('[[apps]]\nkey = "k"\n', '[[apps]]\nkey = "k"\nsecret = ""\n'):
            self.assert_fault(content, "apps[0]", "secret-file")
        self.assert_fault(f'{APP}[[apps]]\nkey = "k"\n', "apps[1]", "secret-file")

    def test_secret_files(self) -> None:
        """Settings file: a file of a secret that is missing, a folder, empty or no text."""
        for name, content, words in (
            ("missing", None, "No such file"),
            (".", None, "Is a directory"),
            ("empty", b" \n", "empty"),
            ("bytes", b"\xff\xfe", "not text"),
        ):
            path = str(self.folder / name) if content is None else self.write(content, name)
            bad = f'[[apps]]\nkey = "k"\nsecret-file = "{path}"\n'
            self.assert_fault(bad, "apps[0].secret-file", path, words)
        self.assert_fault('[[apps]]\nkey = "k"\nsecret-file = "a\\u0000b"\n', "apps[0].secret-file")

    def test_secret_never_shown(self) -> None:
        """Secret: one of the wrong type is not shown, nor is one beside any other fault."""
        for wrong in (f'["{SECRET}"]', f'{{ a = "{SECRET}" }}'):
            self.assert_fault(f'[[apps]]\nkey = "k"\nsecret = {wrong}\n', "apps[0].secret: ", "expected text")
        text = self.assert_fault('[[apps]]\nkey = "k"\nsecret = 271828\n', "apps[0].secret: ", "expected text")
        self.assertNotIn("271828", text)
        self.assertNotIn(SECRET, repr(self.read(WEBHOOK)))

    def test_duplicates(self) -> None:
        """Settings file: two apps cannot have one key; both places count, the command line too."""
        self.assert_fault(APP + APP, "'shop-key'", "apps[1]")
        given: Given = {"app-key": "shop-key", "secret": "own"}
        self.assert_fault(APP, "'shop-key'", given=given, file=False)

    def test_stray(self) -> None:
        """Settings file: an option of an app is refused where the command line has no app: it would mean nothing."""
        names = [option.name for option in OF_APP.values() if option.name != "app-key"]
        for name in (*names, "webhook-url", "webhook-events"):
            words = ("--app-key", "[[apps]]")
            self.assert_fault(APP, f"--{name} ", *words, given={name: "4200"}, file=False)
            self.assert_fault(APP, f"{variable(name)} ", *words, file=False, environment={variable(name): "4200"})
        for switch in SWITCHES:
            if switch.of_app:
                for state in (True, False):
                    self.assert_fault(APP, f"--{switch.name} ", "--app-key", given={switch.name: state}, file=False)


class ExplainTests(FileTestCase):
    """What `--check` says."""

    def test_plain(self) -> None:
        """Check: ports, broker and apps, a line each, and that all is good."""
        said = self.read(APP).explain().splitlines()
        self.assertEqual(said[0], "WebSockets on 0.0.0.0:8080")
        self.assertEqual(said[1], "REST API on 0.0.0.0:4567")
        self.assertTrue(said[2].startswith("broker: "))
        self.assertEqual(said[3:], ["app shop-key (REST paths with any id)", "the settings are good"])

    def test_choices(self) -> None:
        """Check: whatever was chosen for an app is said, and nothing that was not."""
        switches = [switch for switch in SWITCHES if switch.of_app]
        lines = [f"{switch.name} = {str(not switch.default).lower()}" for switch in switches]
        limits = [key for key, option in OF_APP.items() if option.number and key != "termination-code"]
        lines += [f"{key} = 7" for key in limits]
        said = self.read(APP + "\n".join([*lines, 'id = "9"', "termination-code = 4200"])).explain().splitlines()
        expected = {f"  {switch.name}: {'off' if switch.default else 'on'}" for switch in switches}
        expected |= {f"  {key}: 7" for key in limits} | {"  termination-code: 4200"}
        self.assertEqual(said[3], "app shop-key (REST paths with the id 9)")
        self.assertEqual(set(said[4:-1]), expected)
        self.assertEqual(len(said[4:-1]), len(expected))

    def test_tls_and_broker(self) -> None:
        """Check: which ports speak TLS, and that the node is alone on purpose."""
        node = 'tls-cert = "c.pem"\ntls-ports = "api"\nredis-url = "none"\napi-host = ":9"\n'
        said = self.read(node + APP).explain().splitlines()
        self.assertEqual(
            said[:3], ["WebSockets on 0.0.0.0:8080", "REST API on :9 with TLS", "broker: none: this node is alone"]
        )

    def test_webhooks(self) -> None:
        """Check: where the app is told, of what, of which channels, and whether several at once."""
        content = f'{WEBHOOK}events = ["member_added", "cache_miss"]\nchannels = ["presence-*", "news"]\nbatch = true\n'
        said = self.read(content).explain().splitlines()[4:-1]
        expected = ["  webhooks to https://shop.example/hooks: cache_miss, member_added"]
        self.assertEqual(said, [*expected, "    only of channels presence-*, news", "    several events in a request"])

    def test_secrets(self) -> None:
        """Check: no secret is said, no value of a webhook's header, and no password of a Redis."""
        node = 'redis-url = "redis://:hunter2@h"\n'
        said = self.read(node + WEBHOOK + 'headers = { Authorization = "Bearer hunter3" }\n').explain()
        for secret in (SECRET, "hunter2", "hunter3"):
            self.assertNotIn(secret, said)
