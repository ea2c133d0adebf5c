"""Real servers with a settings file, and `--check`."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.process.running import Foreground, ProcessTestCase, ask, read, run
from tests.server import SECRET

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "features" / "apps.rst"
APPS = {"shop-key": ("1", "shop-secret"), "chat-key": ("2", "chat-secret")}


def blocks(language: str) -> list[str]:
    """Give the code blocks of the page about apps, without their indentation."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", text)
    return ["\n".join(line[3:] for line in block.splitlines()).strip() + "\n" for block in found]


def console() -> list[tuple[str, str]]:
    """Give the console blocks: the command after the prompt, and what it prints."""
    pairs = (block.partition("\n") for block in blocks("console"))
    return [(command.removeprefix("$ "), printed) for command, _, printed in pairs]


class ConfigTests(ProcessTestCase):
    """`--config`."""

    def test_two_apps(self) -> None:
        """Apps: one process serves several apps, none of which sees the channels of another."""
        websocket, api = free_port(), free_port()
        tables = [
            f'[[apps]]\nid = "{app_id}"\nkey = "{key}"\nsecret = "{secret}"\n' for key, (app_id, secret) in APPS.items()
        ]
        config = f'websocket-host = "127.0.0.1:{websocket}"\napi-host = "127.0.0.1:{api}"\n' + "".join(tables)
        where = ("127.0.0.1", api)
        with Foreground(config=config) as server:
            clients = {key: self.connect(websocket, key=key) for key in APPS}
            for key, client in clients.items():
                self.subscribe(client)
                self.subscribe(client, f"only-{key}")
            for key, (app_id, secret) in APPS.items():
                body = json.dumps({"name": "price", "channel": "news", "data": key}).encode()
                credentials: dict[str, Any] = {"key": key, "secret": secret}
                self.assertEqual(ask("POST", f"/apps/{app_id}/events", body, *where, **credentials), (200, b"{}"))
                status, answer = ask("GET", f"/apps/{app_id}/channels", b"", *where, **credentials)
                expected: dict[str, Any] = {"news": {}, f"only-{key}": {}}
                self.assertEqual((status, json.loads(answer)), (200, {"channels": expected}))
                other = "1" if app_id == "2" else "2"
                self.assertEqual(ask("POST", f"/apps/{other}/events", body, *where, **credentials)[0], 404)
            for key, client in clients.items():
                self.assertEqual(read(client), {"event": "price", "channel": "news", "data": key})
                client.send('{"event":"pusher:ping"}')
                self.assertEqual(read(client)["event"], "pusher:pong")
            for _, secret in APPS.values():
                self.assertNotIn(secret, server.out + server.err)


class CheckTests(ProcessTestCase):
    """`--check`."""

    def check(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Check settings in a real process, as the documentation's commands do."""
        return run("slanger", *arguments, cwd=self.folder, **{"SLANGER_SECRET": "", **environment})

    def write(self, content: str) -> None:
        """Write the settings file."""
        (self.folder / "slanger.toml").write_text(content, encoding="utf-8")

    def example(self) -> str:
        """Give the documentation's settings file, its secrets' files made in the test's folder."""
        (content,) = blocks("toml")
        for name in ("shop.secret", "chat.secret"):
            self.assertIn(f"/etc/slanger/{name}", content)
            (self.folder / name).write_text(f"{SECRET}\n", encoding="utf-8")
        return content.replace("/etc/slanger/", "")

    def test_documentation(self) -> None:
        """Check: the settings file of the documentation is good, and means what the documentation prints."""
        self.write(self.example())
        (command, printed) = console()[2]
        self.assertEqual(command, "twistd slanger --config slanger.toml --check")
        ended = self.check("--config", "slanger.toml", "--check")
        self.assertEqual((ended.returncode, ended.stderr, ended.stdout), (0, "", printed))

    def test_documented_fault(self) -> None:
        """Check: the fault of the documentation is what is printed, and the exit status is 1."""
        content = self.example()
        self.assertIn("client-events = true", content)
        self.write(content.replace("client-events = true", 'client-events = "yes"'))
        (command, printed) = console()[1]
        self.assertEqual(command, "twistd slanger --config slanger.toml --check")
        ended = self.check("--config", "slanger.toml", "--check")
        self.assertEqual((ended.returncode, ended.stderr, ended.stdout), (1, printed, ""))

    def test_nothing_is_started(self) -> None:
        """Check: it says what the settings mean, listens nowhere, writes nothing, and ends with 0."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            options = (f"--websocket-host={where}", f"--api-host={where}", "--subscription-counts")
            ended = self.check("--app-key=k", "--check", *options, SLANGER_SECRET=SECRET)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for words in (f"WebSockets on {where}", "app k ", "subscription-counts: on", "the settings are good"):
            self.assertIn(words, ended.stdout)
        self.assertNotIn(SECRET, ended.stdout)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_environment(self) -> None:
        """Check: it may be asked for in the environment."""
        ended = self.check("--app-key=k", SLANGER_SECRET=SECRET, SLANGER_CHECK="yes")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn("the settings are good", ended.stdout)

    def test_faults(self) -> None:
        """Check: what would keep the server from starting is one sentence on stderr, exit status 1."""
        app = f'[[apps]]\nkey = "k"\nsecret = "{SECRET}"\n'
        for content, words in (
            (f"colour = 1\n{app}", "colour"),
            (f'tls-cert = "missing.pem"\n{app}', "missing.pem"),
            (f'api-host = "tcp:http"\n{app}', "tcp:http"),
            ('[[apps]]\nkey = "k"\nsecret-file = "missing"\n', "missing"),
        ):
            self.write(content)
            ended = self.check("--config=slanger.toml", "--check")
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
            self.assertTrue(ended.stderr.startswith("slanger: "), ended.stderr)
            self.assertIn(words, ended.stderr)
            self.assertNotIn(SECRET, ended.stderr)
