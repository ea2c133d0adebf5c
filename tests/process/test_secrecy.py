"""What a server must never tell: secrets, signatures, what users send; and what nobody may make it say."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.api.requests import request_bytes, signature, signed_target
from tests.builders import auth, user_auth
from tests.process.running import Foreground, ProcessTestCase, ask, exchange, run
from tests.server import KEY, PATIENCE, SECRET, Server

PRIVATE = "the-message-nobody-else-reads"
FORGED = "2026-01-01T00:00:00+0000 [-] everything is fine, said nobody"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[|\t|$")
"""How each line of the log begins: a time and a place, or the tab of a line that goes on."""


class SecrecyTests(ProcessTestCase):
    """A server that is provoked."""

    def provoke(self, server: Server) -> set[str]:
        """Do all that could have it say too much; give the signatures that were sent."""
        signatures = self.provoke_websockets(server.websocket_port) | self.provoke_rest(server.api_port)
        for port in (server.websocket_port, server.api_port):
            for sent in (
                f"GET /app/{SECRET} HTTP/1.1\r\n\r\n",
                f"GET /\n{FORGED}\n HTTP/1.1\r\nX: {SECRET}\r\n\r\n",
                f"\n{FORGED}\r\n\r\n",
                f"GET / HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: \t{FORGED}\r\n\r\n",
            ):
                self.assertNotIn(b"Traceback", exchange(port, sent.encode()))
        return signatures

    def provoke_websockets(self, port: int) -> set[str]:
        """Say everything to the WebSocket port, right and wrong."""
        url = f"ws://127.0.0.1:{port}/app"
        for path, origin in (
            ("nosuchkey%0A" + FORGED.replace(" ", "%20"), None),
            (f"{KEY}?protocol=%0A{FORGED.replace(' ', '%20')}", None),
            (KEY, "https://evil.example"),
        ):
            with connect(f"{url}/{path}", proxy=None, origin=None if origin is None else Origin(origin)) as client:
                drain(client)
        signatures = set()
        with connect(f"{url}/{KEY}", proxy=None) as client:
            socket_id = json.loads(json.loads(client.recv(PATIENCE))["data"])["socket_id"]
            user = json.dumps({"id": "7", "user_info": {"name": PRIVATE}})
            member = json.dumps({"user_id": "7", "user_info": {"name": PRIVATE}})
            for channel, data in (("private-a", None), ("presence-a", member), ("private-b", None)):
                token = auth(channel, data, socket_id)
                signatures.add(token.rpartition(":")[2])
                told = {
                    "channel": channel,
                    "auth": token if channel != "private-b" else auth("private-a", None, socket_id),
                }
                say(client, "pusher:subscribe", told | ({"channel_data": data} if data else {}))
            token = user_auth(user, socket_id)
            signatures.add(token.rpartition(":")[2])
            say(client, "pusher:signin", {"auth": token, "user_data": user})
            say(client, "client-typing", {"text": PRIVATE}, channel="private-a")
            say(client, "client-typing", {"text": PRIVATE}, channel="private-nowhere")
            client.send(f'{{"event":"x",\n{FORGED}\n')
            client.send(f"\u2028{FORGED}\x85{FORGED}\r{FORGED}\x1b[2J")
            client.send(FORGED.encode())
            drain(client)
        return signatures

    def provoke_rest(self, port: int) -> set[str]:
        """Ask everything of the API, right and wrong."""
        body = json.dumps({"name": "n", "channel": "private-a", "data": PRIVATE}).encode()
        self.assertEqual(ask("POST", "/apps/3/events", body, "127.0.0.1", port)[0], 200)
        now = int(time.time())
        target = signed_target("POST", "/apps/3/events", (), body, now)
        for wrong in (target[:-1] + "x", target.replace(KEY, "nosuchkey"), target.replace(str(now), "1")):
            answer = exchange(port, request_bytes("POST", wrong, body))
            self.assertRegex(answer, rb"\AHTTP/1.1 40[01] ")
            self.assertNotIn(SECRET.encode(), answer)
        exchange(port, request_bytes("GET", f"/apps/3/channels/{'x' * 10_000}?auth_signature={SECRET}"))
        return {target.rpartition("=")[2], signature("GET", "/", ())}

    def test_verbose(self) -> None:
        """Secrecy: with every frame in the log, neither secret nor signature is; and no line is a client's own."""
        with Server("-v", "--origins=https://good.example") as server:
            signatures = self.provoke(server)
            server.terminate()
            log = server.log
        for secret in (SECRET, *signatures):
            self.assertNotIn(secret, log)
        self.assertIn("pusher:subscribe", log)
        self.assertIn("everything is fine", log)
        for line in log.splitlines():
            self.assertRegex(line, LINE)
            self.assertFalse(line.startswith(FORGED), line)
        self.assertNotIn("\x1b", log)
        self.assertLess(max(map(len, log.splitlines())), 5000)
        self.assertNotIn("Traceback", log)

    def test_quiet(self) -> None:
        """Secrecy: without --verbose nothing at all of what clients and apps send is in the log."""
        with Server("--origins=https://good.example") as server:
            signatures = self.provoke(server)
            server.terminate()
            log = server.log
        for secret in (SECRET, PRIVATE, FORGED, "nosuchkey", "private-a", *signatures, "Traceback"):
            self.assertNotIn(secret, log)

    def test_process_list(self) -> None:
        """Secrecy: the documented ways keep the secret out of the process list; the other one is warned of."""
        with Server() as server:
            self.assertNotIn(SECRET.encode(), Path(f"/proc/{server.pid}/cmdline").read_bytes())
            self.assertNotIn("process list", server.log)
        with Foreground("--secret=seen", "--websocket-host=127.0.0.1:0", "--api-host=127.0.0.1:0", ports=1) as shown:
            self.assertIn("process list shows --secret", shown.out)
            self.assertNotIn("seen", shown.out)

    def test_check(self) -> None:
        """Secrecy: what --check tells of the settings, right or wrong, has no secret in it."""
        app = ("slanger", f"--app-key={KEY}", "--redis-url=none", "--check")
        for options in ((), ("--activity-timeout=0",), ("--origins=https://a/b",)):
            said = run(*app, *options, cwd=self.folder)
            self.assertNotIn(SECRET, said.stdout + said.stderr)


def say(client: ClientConnection, event: str, data: object, **members: str) -> None:
    """Send a message."""
    client.send(json.dumps({"event": event, "data": data, **members}))


def drain(client: ClientConnection) -> None:
    """Read what comes, until it is the answer to a ping, or the end."""
    try:
        client.send('{"event":"pusher:ping"}')
        while "pusher:pong" not in str(client.recv(PATIENCE)):
            pass
    except ConnectionClosed:
        pass
