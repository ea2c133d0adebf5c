"""The two links to Redis: one that commands, and one that only listens.

Each is kept up by a `ClientService` of its own. A link that answers no more is given up: whoever waits on it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from twisted.application.internet import ClientService
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import ConnectionError as LinkLost
from txredisapi import InvalidData, RedisError, RedisProtocol
from zope.interface import implementer

from slanger.brokers.redis.address import RedisAddress
from slanger.brokers.redis.scripts import SCRIPTS, Script
from slanger.reasons import reason_of

LONGEST_RETRY = 1.0
"""Seconds between two attempts to connect, at most: a node joins the others as soon as Redis answers."""

CHUNK = 1000
"""Channels in one SUBSCRIBE."""

__all__ = ["Commands", "Ear", "LinkLost", "Links", "RedisError"]


class _Link(RedisProtocol):  # type: ignore[misc]
    """A link: it introduces itself, and is of use once Redis has agreed to everything."""

    transport: Any

    def __init__(self, address: RedisAddress, links: Links) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._address = address
        self._links = links
        self._given_up = False
        self._overdue = links.clock.callLater(links.patience, self.abort, "it does not answer")

    def connectionMade(self) -> None:
        """Introduce itself; everything leaves in one write."""
        with suppress(AttributeError, OSError):  # a Unix socket
            self.transport.setTcpNoDelay(True)
        greetings = [self.execute_command(*words) for words in self._introduction()]
        if self._address.master is not None:
            greetings.append(self.execute_command("ROLE").addCallback(_check_role))
        gatherResults(greetings, consumeErrors=True).addCallbacks(self._welcome, self._rejected)

    def connectionLost(self, why: Failure) -> None:
        """Fail what waits for an answer."""
        if self._overdue.active():
            self._overdue.cancel()
        if not self._given_up:
            self._links.complain(reason_of(why))
        self._links.down(self)
        super().connectionLost(why)

    def abort(self, why: str) -> None:
        """Give the link up."""
        self._given_up = True
        self._links.complain(why)
        self.transport.abortConnection()

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Parse what came; nothing is converted."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self.replyReceived(reply)
        except InvalidData as fault:
            self.abort(f"what it says is not Redis's language ({fault})")

    def _introduction(self) -> Iterable[tuple[str | bytes | int, ...]]:
        address = self._address
        if address.password is not None:
            user = (address.username,) if address.username is not None else ()
            yield "AUTH", *user, address.password
        if address.db:
            yield "SELECT", address.db

    def _welcome(self, _: object) -> None:
        self._overdue.cancel()
        self._links.up(self)

    def _rejected(self, failure: Failure) -> None:
        reason = reason_of(failure.value.subFailure)  # type: ignore[union-attr]
        if not failure.value.subFailure.check(LinkLost):  # type: ignore[union-attr]
            self.abort(reason)


class Commands(_Link):
    """The link that commands. It knows the scripts."""

    def run(self, script: Script, *arguments: str | bytes | int) -> Deferred[Any]:
        """Run a script.

        :return: its answer, in bytes and integers. It fails with `LinkLost` where the link is lost before; an error of
            Redis ends the link too, because a Redis that refuses our scripts is of no use.
        """
        try:
            running: Deferred[Any] = self.execute_command("EVALSHA", script.digest, 0, *arguments)
        except RedisError:
            return fail(LinkLost("Not connected"))
        return running.addErrback(self._failed, script)

    def read(self, *words: str | bytes | int) -> Deferred[Any]:
        """Carry out one command; see `run`."""
        try:
            reading: Deferred[Any] = self.execute_command(*words)
        except RedisError:
            return fail(LinkLost("Not connected"))
        return reading.addErrback(self._failed, None)

    def _failed(self, failure: Failure, script: Script | None) -> Failure:
        if failure.check(LinkLost, CancelledError) is None:
            what = script.name if script else "a command"
            self.abort(f"{what}: {reason_of(failure)}")
            return Failure(LinkLost("given up"))
        return failure

    def _introduction(self) -> Iterable[tuple[str | bytes | int, ...]]:
        yield from super()._introduction()
        for script in SCRIPTS:
            yield "SCRIPT", "LOAD", script.text


class Ear(_Link):
    """The link that listens."""

    def subscribe(self, topics: Iterable[bytes]) -> None:
        """Listen to topics; `Links.subscribed` is called for each when it takes effect."""
        self._write("SUBSCRIBE", topics)

    def unsubscribe(self, topics: Iterable[bytes]) -> None:
        """Listen no more."""
        self._write("UNSUBSCRIBE", topics)

    def replyReceived(self, reply: Any) -> None:
        """Take a message. Only the introduction is answered otherwise."""
        if isinstance(reply, list) and len(reply) == 3:
            kind, topic, payload = reply
            if kind == b"message":
                self._links.heard(topic, payload)
                return
            if kind == b"subscribe":
                self._links.subscribed(self, topic)
                return
            if kind == b"unsubscribe":
                return
        elif isinstance(reply, RedisError) and not self.replyQueue.waiting:
            self.abort(f"subscribe: {reply}")
            return
        super().replyReceived(reply)

    def _write(self, word: str, topics: Iterable[bytes]) -> None:
        listed = list(topics)
        for first in range(0, len(listed), CHUNK):
            self.transport.write(self._build_command(word, *listed[first : first + CHUNK]))


@implementer(IStreamClientEndpoint)
class _Watched:
    """An endpoint whose failures are told."""

    def __init__(self, endpoint: IStreamClientEndpoint, links: Links) -> None:
        self._endpoint = endpoint
        self._links = links

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect, or tell why not."""
        return self._endpoint.connect(factory).addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        self._links.complain(reason_of(failure))
        return failure


class _Keeper(ClientService):
    """Keep a link up, and leave the log to those who know what it means."""

    _log = Logger(observer=lambda _event: None)  # type: ignore[arg-type]


class _LinkFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], Protocol]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Make a link."""
        return self._make()


class Links(MultiService):
    """Keep both links up, and tell what happens on them.

    :param patience: seconds that Redis may take to answer.
    :ivar commands: the link that commands, while it is of use.
    :ivar ear: the link that listens, while it is of use.
    :ivar trouble: why the last attempt failed, in words; empty before that.
    """

    name = "redis links"

    def __init__(
        self, address: RedisAddress, endpoint: IStreamClientEndpoint, clock: IReactorTime, patience: float
    ) -> None:
        super().__init__()
        self.clock = clock
        self.patience = patience
        self.commands: Commands | None = None
        self.ear: Ear | None = None
        self.trouble = ""
        self._attempts: dict[type[_Link], int] = {}
        self.heard: Callable[[bytes, bytes], None] = _ignore
        self.subscribed: Callable[[Ear, bytes], None] = _ignore
        self.on_change: Callable[[], None] = _ignore
        for kind in (Commands, Ear):
            factory = _LinkFactory(lambda kind=kind: kind(address, self))  # type: ignore[misc]
            service = _Keeper(_Watched(endpoint, self), factory, retryPolicy=self._delay_of(kind), clock=clock)
            service.setServiceParent(self)

    def _delay_of(self, kind: type[_Link]) -> Callable[[int], float]:
        """Count attempts until all is well, not until a link stands: who refuses us is not asked again at once."""

        def delay(_: int) -> float:
            attempts = self._attempts[kind] = self._attempts.get(kind, 0) + 1
            return float(min(0.05 * 2 ** min(attempts, 10), LONGEST_RETRY))

        return delay

    def up(self, link: _Link) -> None:
        """Learn that a link is of use."""
        if isinstance(link, Commands):
            self.commands = link
        elif isinstance(link, Ear):
            self.ear = link
        self.on_change()

    def down(self, link: _Link) -> None:
        """Learn that a link is lost, whether it was of use or not."""
        if link is self.commands:
            self.commands = None
        elif link is self.ear:
            self.ear = None
        else:
            return
        self.on_change()

    def accepted(self) -> None:
        """Learn that Redis does all that it is asked."""
        self._attempts.clear()
        self.trouble = ""

    def hang_up(self) -> None:
        """Give both links up, without waiting for the other side."""
        for link in (self.commands, self.ear):
            if link is not None:
                link.abort("this node stops")

    def complain(self, why: str) -> None:
        """Remember what is wrong."""
        self.trouble = why


def _check_role(role: Any) -> None:
    if role[0] != b"master":
        raise RedisError(f"this Redis is no master but {role[0]!r}")


def _ignore(*_: object) -> None:
    """Nobody listens yet."""
