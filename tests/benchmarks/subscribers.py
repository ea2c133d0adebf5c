"""Subscribers: WebSocket connections that count what they are delivered.

Reading must cost less than sending does, or the load generator is what is measured. So the frames of a crowd's events
have the same size and each holds one `@`, which nothing else does: what was read is counted by C alone. Where it begins
with a frame, ends with a whole one of that size, and has as many signs as frames of that size fit, that was all: any
other frame would take the room of an event. Whatever else comes is taken apart frame by frame.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from array import array
from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any
from urllib.parse import quote

from tests.benchmarks import frames
from tests.benchmarks.faults import Fault
from tests.benchmarks.loop import Loop
from tests.benchmarks.targets import Serving, written

MARK = b"@"
INDEX_DIGITS = 8
"""An event's data begins with the mark and its index among the requests, in so many digits."""

SAMPLE = 15
"""The latency of every sixteenth read is kept: a mask of the number of reads."""

_ROSTER = re.compile(r'"count\\*" ?: ?(\d+)')
BUFFER = 256 * 1024
_BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT of Linux, which the socket module names from Python 3.12 on
PORTS = 20_000
"""Connections that leave from one address of the loopback interface; it has 28,232 ports to call from."""


class Heard:
    """What the subscribers of a crowd have heard, all together, and what they share."""

    def __init__(self, loop: Loop, serving: Serving) -> None:
        self.loop = loop
        self.serving = serving
        self.buffer = bytearray(BUFFER)
        self.established = 0
        """Connections that were made."""
        self.joined = 0
        """Subscriptions that succeeded."""
        self.met = 0
        """Members on the rosters that subscribers were given, those who were given them included."""
        self.ready = 0
        """Subscribers who are on all the channels they were to be on from the start."""
        self.failed: set[Subscriber] = set()
        """Who was refused, or whose connection the server ended."""
        self.ready_times: MutableSequence[float] = array("d")
        """Seconds from the beginning of each connection until all that."""
        self.pongs = 0
        """Answers to pings."""
        self.delivered = 0
        """Events that came."""
        self.reads = 0
        self.sent_at: Sequence[float] = ()
        """When the event with an index was sent; empty as long as nobody asks for latencies."""
        self.latencies: MutableSequence[float] = array("d")
        """Seconds from sending the request to reading the event, of the sample."""
        self.complaint = "it said nothing"
        """What the server said last when it refused something."""
        host, port = serving.websocket
        try:
            self._way = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError as fault:
            raise Fault(f"cannot find {host}: {fault.strerror}") from None
        self.handshake = (
            f"GET /app/{quote(serving.key, safe='')}?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\n"
            f"Host: {written(serving.websocket)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://localhost\r\n\r\n"
        ).encode()

    def call(self, number: int) -> socket.socket:
        """Begin to connect; from another address for every 20,000 connections, where the server is on this machine.

        :raises Fault: there is no way.
        """
        family, kind, _, _, where = self._way
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if number >= PORTS and str(where[0]).startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
                sock.bind((f"127.0.0.{1 + number // PORTS}", 0))
            sock.connect(where)
        except BlockingIOError:
            pass
        except OSError as fault:
            sock.close()
            raise Fault(f"cannot connect to {where[0]}: {fault.strerror}") from None
        return sock


class Subscriber:
    """One connection.

    :param number: tells the address it leaves from, on the loopback interface.
    """

    __slots__ = (
        "_begun",
        "_crowd",
        "_head",
        "_missing",
        "_receive",
        "_rest",
        "_size",
        "_socket",
        "channels",
        "events",
        "socket_id",
    )

    def __init__(self, crowd: Heard, number: int, channels: tuple[str, ...]) -> None:
        self._crowd = crowd
        self.channels = channels
        self.events = 0
        self.socket_id = ""
        self._begun = time.perf_counter()
        self._missing = 1 + len(channels)
        self._rest = b""
        self._size = 0
        self._head = b""
        self._socket = crowd.call(number)
        self._receive = self._socket.recv_into
        crowd.loop.watch_connecting(self._socket, self._connected)

    def subscribe(self, channel: str, **more: str) -> None:
        """Ask for a channel."""
        self._say({"event": "pusher:subscribe", "data": {"channel": channel, **more}})

    def close(self) -> None:
        """Go, without a word, as clients do whose network is gone."""
        if self._socket.fileno() >= 0:
            self._crowd.loop.forget(self._socket)
            self._socket.close()

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        self._say({"event": "pusher:ping", "data": {}})

    def _connected(self) -> None:
        if number := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(f"connecting failed: {os.strerror(number)}")
            return
        self._crowd.loop.watch_connected(self._socket, self._read_handshake)
        self._send(self._crowd.handshake)

    def _read_handshake(self) -> None:
        try:
            data = self._rest + self._socket.recv(BUFFER)
        except OSError as fault:
            self._end(f"the handshake failed: {fault.strerror}")
            return
        head, found, rest = data.partition(b"\r\n\r\n")
        if len(data) == len(self._rest) or (found and b" 101 " not in head[:16]):
            status = head.partition(b"\r\n")[0].decode("latin-1")
            self._end(f"the handshake was refused: {status or 'the connection ended'} {rest[:80].decode('latin-1')}")
            return
        self._rest = data
        if found:
            self._rest = b""
            self._crowd.loop.forget(self._socket)
            self._crowd.loop.watch(self._socket, self.read)
            if rest:
                self._take(rest)

    def read(self) -> None:
        """Count what has come."""
        crowd = self._crowd
        buffer = crowd.buffer
        try:
            size = self._receive(buffer)
        except BlockingIOError:
            return
        except OSError as fault:
            self._end(f"the connection broke: {fault.strerror}")
            return
        if not size:
            self._end("the server ended the connection")
            return
        if self._size and not self._rest:
            count = buffer.count(MARK, 0, size)
            if count * self._size == size and buffer.startswith(self._head, size - self._size):
                self.events += count
                crowd.delivered += count
                crowd.reads += 1
                if not crowd.reads & SAMPLE and crowd.sent_at:
                    self._sample(buffer, size)
                return
        self._take(bytes(memoryview(buffer)[:size]))

    def _take(self, data: bytes) -> None:
        whole, self._rest = frames.take_apart(self._rest + data)
        for opcode, size, payload in whole:
            if opcode == frames.TEXT:
                if payload.count(MARK) == 1 and b"error" not in payload:
                    self._event(size, payload)
                else:
                    self._read_message(payload)
            elif opcode == frames.PING:
                self._send(frames.frame(payload, frames.PONG))
            elif opcode == frames.CLOSE:
                code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
                self._end(f"closed with {code} {reason}")
                return

    def _event(self, size: int, payload: bytes) -> None:
        crowd = self._crowd
        if size != self._size and MARK not in (head := frames.text_head(size)):
            self._size, self._head = size, head
        self.events += 1
        crowd.delivered += 1
        crowd.reads += 1
        if not crowd.reads & SAMPLE and crowd.sent_at:
            self._sample(payload, len(payload))

    def _sample(self, data: bytes | bytearray, end: int) -> None:
        now = time.perf_counter()
        crowd = self._crowd
        at = data.find(MARK, 0, end)
        while at >= 0:
            index = int(data[at + 1 : at + 1 + INDEX_DIGITS])
            crowd.latencies.append(now - crowd.sent_at[index])
            at = data.find(MARK, at + 1, end)

    def _read_message(self, payload: bytes) -> None:
        try:
            self._hear(json.loads(payload))
        except (ValueError, KeyError, TypeError):
            raise Fault(f"the server said what is no message of the protocol: {payload[:200]!r}") from None

    def _hear(self, message: Mapping[str, Any]) -> None:
        crowd = self._crowd
        match message["event"]:
            case "pusher:connection_established":
                self.socket_id = json.loads(message["data"])["socket_id"]
                crowd.established += 1
                for channel in self.channels:
                    self.subscribe(channel)
                self._has_one_more()
            case "pusher_internal:subscription_succeeded":
                crowd.joined += 1
                if count := _ROSTER.search(json.dumps(message.get("data"))):
                    crowd.met += int(count[1])
                self._has_one_more()
            case "pusher:ping":
                self._say({"event": "pusher:pong", "data": {}})
            case "pusher:pong":
                crowd.pongs += 1
            case "pusher:error" | "pusher:subscription_error" | "pusher_internal:subscription_error":
                crowd.complaint = json.dumps(message["data"])
                crowd.failed.add(self)

    def _has_one_more(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._crowd.ready += 1
            self._crowd.ready_times.append(time.perf_counter() - self._begun)

    def _say(self, message: Mapping[str, object]) -> None:
        self._send(frames.frame(json.dumps(message).encode()))

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except OSError as fault:
            self._end(f"the connection broke: {fault.strerror}")
            return
        if sent != len(data):
            raise Fault("the server reads so slowly that a subscriber's few bytes do not fit into the socket's buffer")

    def _end(self, why: str) -> None:
        if self not in self._crowd.failed:
            self._crowd.failed.add(self)
            self._crowd.complaint = why
        self.close()
