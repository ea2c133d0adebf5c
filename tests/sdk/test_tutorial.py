"""The chat of the tutorial, run for real: slanger, its back end, and its page in two browser windows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.sdk.case import ClientTestCase, fresh
from tests.sdk.driver import JS
from tests.server import KEY, SECRET, Server, wait_for

CHAT = Path(__file__).parents[2] / "docs" / "tutorial" / "chat" / "chat.py"


class BackEnd:
    """A `chat.py` process. Its page is given pusher-js from the installed package, not from the vendor's site."""

    def __init__(self, server: Server) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        arguments = {
            "--port": port,
            "--app-key": KEY,
            "--websocket-port": server.websocket_port,
            "--api-port": server.api_port,
            "--pusher-js": JS / "node_modules" / "pusher-js" / "dist" / "web" / "pusher.min.js",
        }
        self._process = subprocess.Popen(
            [sys.executable, str(CHAT), *(f"{name}={value}" for name, value in arguments.items())],
            env={**os.environ, "SLANGER_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == f"Chat at {self.url}\n"

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class Chat(ClientTestCase):
    """What the tutorial promises."""

    def setUp(self) -> None:
        """Start the back end."""
        super().setUp()
        self.back_end = BackEnd(self.server)
        self.addCleanup(self.back_end.end)

    def window(self, user: str) -> Window:
        """Open the page, and join as a user."""
        name = fresh("page")
        self.driver.call("page", client=name, url=self.back_end.url)
        window = Window(self, name)
        self.addCleanup(window.close)
        window.run('document.querySelector("#join input").value = argument; join.requestSubmit();', user)
        return window

    def test_chat(self) -> None:
        """A message sent in one window appears in both, once; each shows who is present, who is typing and who left."""
        ann, bob = self.window("Ann"), self.window("Bob")
        ann.shows("#members", "Ann (you)Bob")
        bob.shows("#members", "AnnBob (you)")
        typing = 'const input = document.querySelector("#write input"); input.value = argument;'
        ann.run(typing + 'input.dispatchEvent(new Event("input", { bubbles: true }));', "Grüße <b>an</b> alle")
        bob.shows("#typing", "Ann is typing …")
        ann.run("write.requestSubmit()")
        bob.shows("#messages", "AnnGrüße <b>an</b> alle")
        bob.shows("#typing", "")
        bob.run(typing + "write.requestSubmit();", "Danke")
        for window in (ann, bob):
            window.shows("#messages", "AnnGrüße <b>an</b> alleBobDanke")
        bob.close()
        ann.shows("#members", "Ann (you)")
        self.assertEqual(self.driver.seen(ann.name, "pageerror"), [])


class Window:
    """The page in a browser window."""

    def __init__(self, case: Chat, name: str) -> None:
        self._driver = case.driver
        self.name = name

    def run(self, script: str, argument: str = "") -> Any:
        """Run a script in the page, as the body of a function of `argument`."""
        return self._driver.call("evaluate", client=self.name, script=script, argument=argument)

    def shows(self, selector: str, text: str) -> None:
        """Wait until the text of an element is this."""
        script = "return document.querySelector(argument).textContent"
        wait_for(f"{text!r} in {selector} of {self.name}", lambda: self.run(script, selector) == text)

    def close(self) -> None:
        """Close the window."""
        self._driver.call("close", client=self.name)
