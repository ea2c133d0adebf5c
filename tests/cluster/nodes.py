"""Nodes that share a Redis, each a `twistd` process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self, TypeVar

from tests.cluster.proxy import Proxy
from tests.cluster.redis import RedisServer
from tests.server import Server, wait_for

T = TypeVar("T")

JOINED = "joined Redis"
"""What a node logs when it is one of the cluster, at the start and after each cut."""

CUT_OFF = "cut off from Redis"
"""What a node logs when it notices that it is not."""

ALONE = "cannot reach Redis"
"""What a node logs that has never been in the cluster yet, and why."""

BAD_MESSAGE = "bad message"
"""What a node logs of a message that no node can have sent."""


class Node(Server):
    """A server whose broker is Redis; use it as a context manager.

    :param url: where Redis is.
    """

    def __init__(self, url: str, *options: str, one_port: bool = False) -> None:
        super().__init__(f"--redis-url={url}", *options, one_port=one_port)

    @property
    def has_joined(self) -> bool:
        """Whether it is one of the cluster, as far as it knows."""
        return self.log.rfind(JOINED) > self.log.rfind(CUT_OFF)

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def start(self) -> None:
        """Start, or start again; wait until it has joined."""
        logged = len(self.log) if self.log_file.exists() else 0
        super().start()
        wait_for(JOINED, lambda: JOINED in self.log[logged:])

    def wait_until_cut_off(self) -> None:
        """Wait until it has noticed that Redis is away."""
        wait_for(CUT_OFF, lambda: not self.has_joined)

    def wait_until_joined(self) -> None:
        """Wait until it is back in the cluster."""
        wait_for(JOINED, lambda: self.has_joined)


def at_once(act: Callable[[Node], T], nodes: Iterable[Node]) -> list[T]:
    """Do something with all nodes at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(act, nodes))


class Cluster:
    """Some nodes, each with a proxy of its own on its way to one Redis; use it as a context manager.

    :param redis: which runs already.
    :param count: of nodes.
    :param options: of each node.
    """

    def __init__(self, redis: RedisServer, count: int, *options: str) -> None:
        self.redis = redis
        self.proxies = [Proxy(redis.port) for _ in range(count)]
        self.nodes: Sequence[Node] = [Node(proxy.url, *options) for proxy in self.proxies]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for proxy in self.proxies:
            self._stack.enter_context(proxy)
        try:
            start_all(self.nodes, self._stack)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *fault: object) -> None:
        self._stack.close()

    def repair(self) -> None:
        """Bring all nodes back into the cluster."""
        for proxy in self.proxies:
            proxy.go_on()
        for node in self.nodes:
            node.resume()
            if not node.runs:
                node.start()
            node.wait_until_joined()


def start_all(nodes: Sequence[Node], stack: ExitStack) -> None:
    """Start nodes at the same time; they end with the stack."""
    for node in nodes:
        stack.push(node)
    at_once(Node.start, nodes)
