"""The back end of the chat: it serves the page, lets users in, and passes their messages on to slanger."""

from __future__ import annotations

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pusher

CHANNEL = "presence-chat"
PAGE = Path(__file__).with_name("index.html")
PUSHER_JS = "https://js.pusher.com/8.4.0/pusher.min.js"


class Chat(ThreadingHTTPServer):
    """The HTTP server."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Request)
        self.options = options
        self.slanger = pusher.Pusher(
            app_id="1",
            key=options.app_key,
            secret=os.environ["SLANGER_SECRET"],
            host="127.0.0.1",
            port=options.api_port,
            ssl=False,
        )

    def page(self) -> str:
        """Fill in what the page must know."""
        script = "/pusher.js" if Path(self.options.pusher_js).is_file() else self.options.pusher_js
        settings = {"key": self.options.app_key, "wsPort": self.options.websocket_port, "channel": CHANNEL}
        return PAGE.read_text("utf-8").replace("{{pusher_js}}", script).replace("{{settings}}", json.dumps(settings))


class Request(BaseHTTPRequestHandler):
    """One request of a browser."""

    server: Chat

    def do_GET(self) -> None:
        """Serve the page, and pusher-js where it is a file."""
        if self.path == "/":
            self.answer(200, self.server.page(), "text/html")
        elif self.path == "/pusher.js" and Path(self.server.options.pusher_js).is_file():
            self.answer(200, Path(self.server.options.pusher_js).read_text("utf-8"), "text/javascript")
        else:
            self.answer(404, "There is nothing here\n", "text/plain")

    def do_POST(self) -> None:
        """Take what the page sends."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode())
        field = {name: values[0] for name, values in form.items()}
        actions = {"/pusher/auth": self.authorize, "/messages": self.send_message}
        try:
            self.answer(200, json.dumps(actions[self.path](field)), "application/json")
        except (KeyError, ValueError) as fault:
            self.answer(400, f"{fault}\n", "text/plain")

    def authorize(self, field: dict[str, str]) -> object:
        """Let a user into the channel; pusher-js asks for this when it subscribes.

        Here anybody may be whoever he says. Your app knows who is logged in, and whether he may.
        """
        if field["channel_name"] != CHANNEL:
            raise ValueError("There is no such room")
        member = {"user_id": field["name"], "user_info": {"name": field["name"]}}
        return self.server.slanger.authenticate(CHANNEL, field["socket_id"], member)

    def send_message(self, field: dict[str, str]) -> object:
        """Send a message to all but the page that it comes from, which shows it already."""
        message = {"name": field["name"], "text": field["text"]}
        return self.server.slanger.trigger(CHANNEL, "message", message, field["socket_id"])

    def answer(self, status: int, text: str, content_type: str) -> None:
        """Answer the browser."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=f"{__doc__} The secret is taken from SLANGER_SECRET.")
    parser.add_argument("--port", type=int, default=8000, help="where the page is served")
    parser.add_argument("--app-key", default="my-key")
    parser.add_argument("--websocket-port", type=int, default=8080, help="slanger's, for browsers")
    parser.add_argument("--api-port", type=int, default=4567, help="slanger's, for this back end")
    parser.add_argument("--pusher-js", default=PUSHER_JS, help="URL of pusher-js, or a file")
    chat = Chat(parser.parse_args())
    print(f"Chat at http://127.0.0.1:{chat.server_port}/", flush=True)  # noqa: T201
    chat.serve_forever()
