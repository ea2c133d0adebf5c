"""Who is present: decided by Redis while it is there, by what this node knows while it is not.

A channel's roster is copied when this node first has to do with it, and kept current by what is published of it. The
published order is the only order: this node's own joins and leaves come back to it like those of all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from slanger.brokers.redis import envelope
from slanger.brokers.redis.envelope import Added, BadMessage, Removed, Shared, position_in
from slanger.brokers.redis.heard import Heard
from slanger.brokers.redis.holdings import Held, Holdings
from slanger.brokers.redis.interest import Interest
from slanger.brokers.redis.links import Commands, LinkLost
from slanger.brokers.redis.occurrences import Occurrences
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import ROSTERS
from slanger.complaints import Complaints
from slanger.domain.apps import App
from slanger.domain.presence import RosterCopy
from slanger.interfaces import INode
from slanger.protocol.errors import channel_full
from slanger.protocol.messages import Member

CHUNK = 200
"""Rosters in one command, at most."""

HOLDERS, WATCHERS = "holders", "watchers"


class Presence:
    """Let users in and out, and tell this node who came and who went."""

    node: INode

    def __init__(
        self,
        root: Root,
        clock: IReactorTime,
        interest: Interest,
        holdings: Holdings,
        occurrences: Occurrences,
        complaints: Complaints,
    ) -> None:
        self._root = root
        self._clock = clock
        self._interest = interest
        self._holdings = holdings
        self._occurrences = occurrences
        self._complaints = complaints
        self._commands: Commands | None = None
        self._settles: IDelayedCall | None = None
        self._unpictured: dict[bytes, Heard] = {}
        self._leaving: list[Held] = []

    # What this node asks for

    def enter(self, app: App, channel: str, member: Member, socket_id: str) -> Deferred[Raw]:
        """Let a connection keep a user present; see `IBroker.enter`."""
        users = self._holdings.users.setdefault((app.key, channel), {})
        held = users.get(member.user_id)
        heard = self._interest.want(app, channel, HOLDERS)
        copy = _copy(heard)
        if held is not None:
            held.sockets.add(socket_id)
            if held.settled:
                return succeed(copy.data())
            return self._waiting(held)
        if not self._holdings.stated and self._is_full(app, copy, member.user_id):
            self._drop_if_empty(app, channel)
            return fail(channel_full(channel, app.presence_members))
        held = users[member.user_id] = Held(app, channel, member, {socket_id})
        waiting = self._waiting(held)
        if not self._holdings.stated:
            self._settle_here(heard, held)
            return waiting
        picture = not copy.known and not copy.expecting
        if picture:
            copy.expect()

        def answered(reply: Any) -> None:
            self._answered(heard, held, reply, picture=picture)

        self._holdings.enter(held, answered, limit=app.presence_members, picture=picture)
        return waiting

    def leave(self, app: App, channel: str, user_id: str, socket_id: str) -> None:
        """Let go of a user; see `IBroker.leave`.

        While Redis is away, one whom the cluster knew may have come to another node meanwhile: he is let go of once
        that can be seen, or once this node is on its own.
        """
        users = self._holdings.held(app, channel)
        held = users.get(user_id)
        if held is None or socket_id not in held.sockets:
            return
        held.sockets.remove(socket_id)
        if held.sockets:
            return
        del users[user_id]
        self._drop_if_empty(app, channel)
        if self._holdings.stated:
            self._holdings.leave(held)
            return
        if held.stated and not self._occurrences.on_its_own:
            self._leaving.append(held)
        else:
            self._let_go_here(held)

    def watch(self, app: App, channel: str) -> None:
        """Want to know who comes and goes on a channel."""
        heard = self._interest.want(app, channel, WATCHERS)
        copy = _copy(heard)
        if self._commands is None:
            copy.known = True
        elif not copy.known and not copy.expecting:
            self._ask_for_picture(heard)

    def unwatch(self, app: App, channel: str) -> None:
        """Want to know it no more."""
        self._interest.unwant(app, channel, WATCHERS)

    def roster(self, app: App, channel: str) -> Iterable[Member]:
        """Give the members that this node knows of."""
        heard = self._interest.find(app, channel)
        return () if heard is None or heard.copy is None else heard.copy

    # What is published

    def changed(self, heard: Heard, at: int, said: Added | Removed | Shared) -> None:
        """Take a change of a roster over."""
        if heard.copy is None:
            return
        if isinstance(said, Added):
            member = envelope.member(said.u, bytes(said.i))
            if heard.copy.change(at, said.u, 1, member):
                self.node.member_added(heard.app, heard.name, member)
        elif isinstance(said, Shared):
            heard.copy.change(at, said.u, max(1, said.n))
        elif said.o != self._root.origin and self._holds(heard, said.u):
            return  # another node cleaned up after us: we were taken for dead, and state everything again
        elif heard.copy.change(at, said.u, 0):
            self.node.member_removed(heard.app, heard.name, said.u)

    # The link

    async def resume(self, commands: Commands, settles_in: float) -> None:
        """Compare all copies with the rosters; tell this node what differs.

        :param settles_in: seconds for which Redis may lack members that other nodes have still to state: so long
            nobody is taken for gone.
        """
        self._commands = commands
        self._leaving.clear()
        self._settles = self._clock.callLater(settles_in, self._settled) if settles_in else None
        await self._compare(commands)

    def pause(self) -> None:
        """Learn that the link is lost: who waits is let in by this node."""
        self._commands = None
        if self._settles is not None:
            self._settles.cancel()
            self._settles = None
        self._unpictured.clear()
        for heard in self._interest:
            if heard.copy is not None:
                heard.copy.forget_expected()
                for held in tuple(self._holdings.held(heard.app, heard.name).values()):
                    if not held.settled:
                        self._settle_here(heard, held)
            heard.wait_no_more()

    def go_on_alone(self) -> None:
        """Tell who went since the cut, and the app who came: the other nodes have taken this one for dead by now."""
        leaving, self._leaving = self._leaving, []
        for held in leaving:
            if held.member.user_id not in self._holdings.held(held.app, held.channel):
                self._let_go_here(held)
        for users in self._holdings.users.values():
            new = {user_id: held for user_id, held in users.items() if not held.stated}
            for number, held in enumerate(new.values()):
                others = any(member.user_id not in new for member in self.roster(held.app, held.channel))
                self._occurrences.began_here(held, is_first=number == 0 and not others)

    # Inside

    async def _compare(self, commands: Commands) -> None:
        copied = [heard for heard in self._interest if heard.copy is not None]
        for heard in copied:
            _copy(heard).expect()
        await self._copy_all(commands, copied)

    def _settled(self) -> None:
        self._settles = None
        if self._commands is not None:
            comparing = Deferred.fromCoroutine(self._compare(self._commands))
            comparing.addErrback(lambda failure: failure.trap(LinkLost))

    def _answered(self, heard: Heard, held: Held, reply: Any, *, picture: bool) -> None:
        """Take the cluster's answer: he is in once this node knows all that was published before."""
        there, new, position, picture_taken = reply
        at = position_in(position)
        if picture:
            self._take_picture(heard, at, *picture_taken)
        if not there:
            self._refuse(held)
        elif picture:
            if new and held.member.user_id in _copy(heard):
                self.node.member_added(heard.app, heard.name, held.member)
            self._settle(heard, held)
        else:
            heard.when(at, lambda: self._settle(heard, held))

    def _settle(self, heard: Heard, held: Held) -> None:
        held.settled = True
        waiting, held.waiting = held.waiting, []
        for each in waiting:
            each.callback(_copy(heard).data())

    def _settle_here(self, heard: Heard, held: Held) -> None:
        """Let a user in without asking: Redis is away."""
        copy = _copy(heard)
        first = not copy
        if copy.come(held.member):
            self.node.member_added(heard.app, heard.name, held.member)
            self._occurrences.began_here(held, is_first=first)
        self._settle(heard, held)

    def _let_go_here(self, held: Held) -> None:
        """Let a user go without asking."""
        heard = self._interest.find(held.app, held.channel)
        if heard is not None and _copy(heard).go(held.member.user_id):
            self.node.member_removed(held.app, held.channel, held.member.user_id)
            self._occurrences.ended_here(held, is_last=not heard.copy)

    def _refuse(self, held: Held) -> None:
        users = self._holdings.held(held.app, held.channel)
        if users.get(held.member.user_id) is held:
            del users[held.member.user_id]
            self._drop_if_empty(held.app, held.channel)
        waiting, held.waiting = held.waiting, []
        for each in waiting:
            each.errback(channel_full(held.channel, held.app.presence_members))

    def _waiting(self, held: Held) -> Deferred[Raw]:
        waiting: Deferred[Raw] = Deferred(held.waiting.remove)
        held.waiting.append(waiting)
        return waiting

    def _drop_if_empty(self, app: App, channel: str) -> None:
        if not self._holdings.held(app, channel):
            self._holdings.users.pop((app.key, channel), None)
            self._interest.unwant(app, channel, HOLDERS)

    def _holds(self, heard: Heard, user_id: str) -> bool:
        held = self._holdings.held(heard.app, heard.name).get(user_id)
        return held is not None and held.settled

    def _is_full(self, app: App, copy: RosterCopy, user_id: str) -> bool:
        return user_id not in copy and len(copy) >= app.presence_members

    def _ask_for_picture(self, heard: Heard) -> None:
        _copy(heard).expect()
        if not self._unpictured:
            self._clock.callLater(0, self._ask_for_pictures)
        self._unpictured[heard.topic] = heard

    def _ask_for_pictures(self) -> None:
        unpictured, self._unpictured = self._unpictured, {}
        if self._commands is not None:
            copying = Deferred.fromCoroutine(self._copy_all(self._commands, unpictured.values()))
            copying.addErrback(lambda failure: failure.trap(LinkLost))

    async def _copy_all(self, commands: Commands, channels: Iterable[Heard]) -> None:
        by_app: dict[str, list[Heard]] = {}
        for heard in channels:
            by_app.setdefault(heard.app.key, []).append(heard)
        for app, of_app in by_app.items():
            for first in range(0, len(of_app), CHUNK):
                await self._copy_rosters(commands, app, of_app[first : first + CHUNK])

    async def _copy_rosters(self, commands: Commands, app: str, channels: list[Heard]) -> None:
        wanted = msgspec.json.encode([heard.name for heard in channels])
        answers = await commands.run(ROSTERS, *self._root.arguments, app, wanted)
        for heard, (position, picture) in zip(channels, answers, strict=True):
            self._take_picture(heard, position_in(position), *picture)

    def _take_picture(self, heard: Heard, at: int, roster: list[bytes], shared: list[bytes]) -> None:
        """Tell this node what a picture shows that its copy did not. Who is here is here, whatever it shows."""
        members = {member.user_id: member for member in self._read(heard, roster)}
        for user_id, held in self._holdings.held(heard.app, heard.name).items():
            if held.settled:
                members.setdefault(user_id, held.member)
        if self._settles is not None:
            for member in _copy(heard):
                members.setdefault(member.user_id, member)
        added, removed = _copy(heard).picture(at, members.values(), (user_id.decode() for user_id in shared))
        for member in added:
            self.node.member_added(heard.app, heard.name, member)
        for user_id in removed:
            self.node.member_removed(heard.app, heard.name, user_id)

    def _read(self, heard: Heard, roster: list[bytes]) -> Iterable[Member]:
        for index in range(0, len(roster), 2):
            try:
                yield envelope.member(roster[index].decode(), roster[index + 1])
            except (BadMessage, UnicodeDecodeError) as fault:
                self._complaints.count("bad message", f"a member on the roster of {heard.name}: {fault}")


def _copy(heard: Heard) -> RosterCopy:
    if heard.copy is None:
        heard.copy = RosterCopy()
    return heard.copy
