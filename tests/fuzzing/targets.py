"""What is fuzzed. A target takes any bytes; whatever it lets out, and all that is logged as a failure, is a finding."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from slanger.api.authentication import SignedRequest
from slanger.api.endpoint import Reply
from slanger.brokers.redis import envelope
from slanger.brokers.redis.envelope import BadMessage
from slanger.faults import StartupFault
from slanger.protocol import codec
from slanger.protocol.effects import Join, Say, SignInUser, Whisper
from slanger.protocol.errors import MessageRefused, SubscriptionRefused
from slanger.protocol.names import ChannelKind
from slanger.protocol.session import Session, Standing
from slanger.protocol.signing import channel_string, request_string, sign, user_string
from slanger.settings import read_settings
from slanger.transports.short import OPENING
from tests.api.requests import NOW, ApiTestCase
from tests.api.test_lean import SameTests
from tests.builders import SOCKET_ID, make_app
from tests.server import KEY, SECRET
from tests.transports.test_same_verdict import HANDSHAKE, SameVerdictTests
from tests.transports.ways import LONG_FROM_THE_START

Target = Callable[[bytes], None]

CUT = b"\xf8\xf9"
"""Parts an input, where it stands for several reads or messages: bytes that no UTF-8 has."""

SIGNED = "<signed>"
"""Stands, in a message, for the right signature, which no fuzzer would guess."""

ALLOWED = frozenset({200, 400, 401, 404, 405, 413})
"""Statuses that a request may be answered with."""


def codec_target() -> Target:
    """Messages of clients, and what is in them: read, or refused with a reason that can be sent."""
    reads: tuple[Callable[[Any], object], ...] = (
        codec.read_subscribe,
        codec.read_unsubscribe,
        codec.read_signin,
        codec.read_client_event,
    )

    def run(data: bytes) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            text = data.decode()
            for read_text in (codec.read_user, lambda text: codec.read_member("presence-a", text)):
                _refusals_can_be_sent(lambda read_text=read_text, text=text: read_text(text))  # type: ignore[misc]
        try:
            frame = codec.read_frame(data)
        except MessageRefused as refusal:
            json.loads(codec.error(refusal.message, refusal.code).text)
            return
        for read in reads:
            _refusals_can_be_sent(lambda read=read, frame=frame: read(frame))  # type: ignore[misc]
        with contextlib.suppress(MessageRefused):
            event = codec.read_client_event(frame)
            told = json.loads(codec.event(event.channel, event.event, event.data).text)
            assert (told["channel"], told["event"], told["data"]) == (event.channel, event.event, event.data)

    return run


def session_target() -> Target:
    """Conversations of one client: what is said is JSON, and nothing is done on channels that he is not on."""
    app = make_app()

    def run(data: bytes) -> None:
        session = Session(app, SOCKET_ID)
        for number, message in enumerate(data.split(CUT)[:20]):
            effects = list(session.receive(_with_signatures(message), number / 100))
            for effect in effects:
                if isinstance(effect, Join):
                    assert session.standing(effect.channel) is Standing.ASKED
                    effects += session.joined(effect.channel)
                elif isinstance(effect, Whisper):
                    assert session.standing(effect.channel) is Standing.ON
                    assert ChannelKind.of(effect.channel) is not ChannelKind.PUBLIC
                elif isinstance(effect, SignInUser):
                    assert session.user is not None
                elif isinstance(effect, Say):
                    json.loads(effect.message.text)
        list(session.gone())

    return run


def frames_target() -> Target:
    """Frames behind a handshake, cut into reads: the short way and Autobahn agree, to the byte and to the end."""
    same = SameVerdictTests("test_frames")

    def run(data: bytes) -> None:
        reads = [HANDSHAKE, *data.split(CUT)[:8]]
        assert same.outcome(OPENING, reads) == same.outcome(LONG_FROM_THE_START, reads)

    return run


def handshake_target() -> Target:
    """Opening handshakes: the short way lets in whom Autobahn lets in, with the same answer, and nobody else."""
    same = SameVerdictTests("test_handshakes")

    def run(data: bytes) -> None:
        reads = data.split(CUT)[:4]
        assert same.outcome(OPENING, reads) == same.outcome(LONG_FROM_THE_START, reads)

    return run


def http_target() -> Target:
    """Bytes on the REST port, cut into reads: the lean way and twisted.web agree, to the byte and to the end."""
    same = SameTests("test_any")
    same.setUp()

    def run(data: bytes) -> None:
        same.assert_same(data.split(CUT)[:8])

    return run


def api_target() -> Target:
    """Requests with a right signature: any path, any parameters, any body get an answer of the API's own."""
    case = ApiTestCase("assert_refused")
    case.setUp()

    def run(data: bytes) -> None:
        path, query, body = [*data.split(CUT), b"", b""][:3]
        method = b"POST" if body else b"GET"
        reply = case.site.root.leaf(path.decode("latin-1")).answer(_signed(method, path, query, body))
        if not isinstance(reply, Reply):
            reply = case.successResultOf(reply)
        assert reply.status in ALLOWED or (reply.status == 503 and path == b"/health"), reply
        if reply.content_type == "application/json":
            assert isinstance(json.loads(reply.body), dict)
        else:
            assert reply.body.decode().count("\n") == 1, reply

    return run


def envelope_target() -> Target:
    """What arrives over Redis: read, or refused with `BadMessage`."""

    def run(data: bytes) -> None:
        for read in (envelope.read, envelope.read_arrival):
            with contextlib.suppress(BadMessage):
                read(data, 1000)

    return run


def settings_target() -> Target:
    """Settings files: read, or refused in one sentence that tells the file."""
    directory = tempfile.TemporaryDirectory()
    path = Path(directory.name, "slanger.toml")

    def run(data: bytes, _kept: object = directory) -> None:
        path.write_bytes(data)
        try:
            read_settings({"config": str(path)}, {})
        except StartupFault as fault:
            assert str(fault)

    return run


TARGETS: Mapping[str, Callable[[], Target]] = {
    "codec": codec_target,
    "session": session_target,
    "frames": frames_target,
    "handshake": handshake_target,
    "http": http_target,
    "api": api_target,
    "envelope": envelope_target,
    "settings": settings_target,
}
"""Makes each target; what they share between inputs is made once."""


def _refusals_can_be_sent(read: Callable[[], object]) -> None:
    try:
        read()
    except MessageRefused as refusal:
        json.loads(codec.error(refusal.message, refusal.code).text)
    except SubscriptionRefused as refusal:
        json.loads(codec.subscription_error(refusal).text)


def _with_signatures(message: bytes) -> bytes:
    """Sign what a message asks to be signed."""
    if SIGNED.encode() not in message:
        return message
    try:
        data = json.loads(message)["data"]
        if "user_data" in data:
            text = user_string(SOCKET_ID, data["user_data"])
        else:
            text = channel_string(SOCKET_ID, data["channel"], data.get("channel_data"))
        return message.replace(SIGNED.encode(), f"{KEY}:{sign(SECRET, text)}".encode())
    except (ValueError, TypeError, KeyError, RecursionError):
        return message


def _signed(method: bytes, path: bytes, query: bytes, body: bytes) -> SignedRequest:
    """Sign a request, whose parameters are read as an SDK means them: each value as it stands."""
    given = [pair.partition(b"=")[::2] for pair in query.split(b"&") if pair]
    parameters = [(name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in given]
    parameters += [("auth_key", KEY), ("auth_timestamp", str(NOW)), ("auth_version", "1.0")]
    parameters += [("body_md5", hashlib.md5(body).hexdigest())] if body else []
    signature = sign(SECRET, request_string(method.decode(), path.decode("latin-1"), parameters))
    written = [f"{quote_from_bytes(name.encode())}={quote_from_bytes(value.encode())}" for name, value in parameters]
    return SignedRequest.of(method, path + b"?" + "&".join([*written, f"auth_signature={signature}"]).encode(), body)
