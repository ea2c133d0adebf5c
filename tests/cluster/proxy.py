"""The way between a node and Redis, which tests may cut: a TCP proxy in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

from tests.ports import free_port
from tests.server import PATIENCE

T = TypeVar("T")

PIECE = 65536


class _Link:
    """One connection of a node, and its continuation to Redis."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.has_lost = False
        """Whether bytes are missing, so that what follows would make no sense."""

    def abort(self) -> None:
        """End both halves at once."""
        for writer in (self.near, self.far):
            writer.transport.abort()


class Proxy:
    """Passes bytes on, until it is told not to; use it as a context manager.

    :param port: of the Redis behind it.
    :param tls: where given, clients must speak TLS; Redis is spoken to in the clear.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self._redis_port = port
        self._tls = tls
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._goes_on = asyncio.Event()
        self._swallows = False
        self._refuses = False

    def __enter__(self) -> Self:
        self._goes_on.set()
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(PATIENCE)
        return self

    def __exit__(self, *fault: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def url(self) -> str:
        """Tell nodes where Redis seems to be."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def addresses(self) -> list[str]:
        """Tell which addresses Redis sees its clients at, for CLIENT KILL."""
        return self._do(lambda: ["{}:{}".format(*link.far.get_extra_info("sockname")) for link in self._links])

    def cut(self) -> None:
        """Reset all connections; new ones are welcome."""
        self._do(self._abort_all)

    def refuse(self) -> None:
        """Reset all connections, and every new one, until `go_on`."""
        self._refuses = True
        self.cut()

    def swallow(self) -> None:
        """Lose all bytes, both ways, until `go_on`; connections stay open, and new ones are accepted."""
        self._swallows = True

    def freeze(self) -> None:
        """Pass no byte on until `go_on`; then those held back come, as from a network that was slow."""
        self._do(self._goes_on.clear)

    def go_on(self) -> None:
        """Pass bytes on again. Connections that have lost some are reset."""
        self._do(self._recover)

    def _recover(self) -> None:
        self._refuses = self._swallows = False
        self._goes_on.set()
        for link in self._links:
            if link.has_lost:
                link.abort()

    def _abort_all(self) -> None:
        for link in self._links:
            link.abort()

    def _do(self, action: Callable[[], T]) -> T:
        """Call something in the thread of the loop."""

        async def acting() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(acting(), self._loop).result(PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, far_writer)
        self._links.add(link)
        pumps = [self._pump(link, reader, far_writer), self._pump(link, far_reader, writer)]
        try:
            await asyncio.gather(*pumps)
        finally:
            link.abort()
            self._links.discard(link)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._redis_port)

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(PIECE):
                await self._goes_on.wait()
                if self._swallows or link.has_lost:
                    link.has_lost = True
                    continue
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            link.abort()

    async def _end(self) -> None:
        self._server.close()
        self._recover()
        self._abort_all()
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving)


class Balancer(Proxy):
    """Passes each connection on to the first node that takes it, as balancers do.

    :param ports: of the nodes.
    """

    def __init__(self, *ports: int) -> None:
        super().__init__(ports[0])
        self._ports = ports

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in self._ports[:-1]:
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", port)
        return await asyncio.open_connection("127.0.0.1", self._ports[-1])
