"""Rosters: who is present on a presence channel.

A user is present while something holds him there: a connection of this node, or another node that has one. The
edges that subscribers hear about are the first holder and the last ("Presence channels": users with several
connections).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

from slanger.protocol.codec import RosterText
from slanger.protocol.messages import Member


class Present:
    """Users in the order they came, and what a joiner is told of them."""

    __slots__ = ("_members", "_text")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._text: RosterText | None = None

    def data(self) -> Raw:
        """Give what a joiner is told, ready to be sent. It is made anew only after somebody has gone."""
        if self._text is None:
            self._text = RosterText(self)
        return self._text.data()

    def _come(self, member: Member) -> None:
        self._members[member.user_id] = member
        if self._text is not None:
            self._text.add(member)

    def _go(self, user_id: str) -> bool:
        self._text = None
        return self._members.pop(user_id, None) is not None

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._members

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)


class Roster(Present):
    """The users on one channel, each with what holds him there."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        super().__init__()
        self._holders: dict[str, set[str]] = {}

    def enter(self, member: Member, holder: str) -> bool:
        """Let a holder keep a user present; tell whether it is his first.

        The `user_info` of the first stands until the last has let go, whatever later ones bring.
        """
        holders = self._holders.get(member.user_id)
        if holders is None:
            self._come(member)
            self._holders[member.user_id] = {holder}
            return True
        holders.add(holder)
        return False

    def leave(self, user_id: str, holder: str) -> bool:
        """Let go of a user; tell whether this was the last that held him. An unknown holder changes nothing."""
        holders = self._holders.get(user_id)
        if holders is None or holder not in holders:
            return False
        holders.remove(holder)
        if holders:
            return False
        del self._holders[user_id]
        return self._go(user_id)


class RosterCopy(Present):
    """A node's copy of a roster that the cluster decides, kept current by what is published of it.

    Each change has a position, and so has each picture of the whole; a change that the picture contains already is
    skipped. Until the first picture has come the copy is not known, and nothing is told of it.

    :ivar known: whether there was a picture.
    """

    __slots__ = ("_changes", "_position", "_shared", "known")

    def __init__(self) -> None:
        super().__init__()
        self.known = False
        self._shared: set[str] = set()
        self._position = 0
        self._changes: list[tuple[int, str, int, Member | None]] | None = None

    def expect(self) -> None:
        """Learn that a picture was asked for: the changes until it comes may be newer than it."""
        if self._changes is None:
            self._changes = []

    @property
    def expecting(self) -> bool:
        """Whether a picture was asked for and has not come."""
        return self._changes is not None

    def forget_expected(self) -> None:
        """Learn that the picture will not come."""
        self._changes = None

    def change(self, position: int, user_id: str, nodes: int, member: Member | None = None) -> bool:
        """Learn how many nodes hold a user; tell whether he came or went with that.

        :param member: who he is, where he comes.
        """
        if self._changes is not None:
            self._changes.append((position, user_id, nodes, member))
        if not self.known or position <= self._position:
            return False
        self._position = position
        return self._apply(user_id, nodes, member)

    def come(self, member: Member) -> bool:
        """Let a user in by this node's own knowledge; tell whether that is news."""
        self.known = True
        return self._apply(member.user_id, 1, member)

    def go(self, user_id: str) -> bool:
        """Let a user go by this node's own knowledge; tell whether that is news. Who is held elsewhere too stays."""
        self.known = True
        return user_id not in self._shared and self._apply(user_id, 0, None)

    def picture(
        self, position: int, members: Iterable[Member], shared: Iterable[str] = ()
    ) -> tuple[list[Member], list[str]]:
        """Take a picture over; tell who is there that was not, and who is not that was. The first is no news.

        :param position: of the last change that it contains.
        :param shared: who is held by several nodes.
        """
        old, self._members = self._members, {member.user_id: member for member in members}
        self._text = None
        self._shared = set(shared)
        self._position = position
        for later, *change in self._changes or ():
            if later > position:
                self._position = later
                self._apply(*change)  # type: ignore[arg-type]
        self._changes = None
        new = self._members
        if not self.known:
            self.known = True
            return [], []
        return [new[each] for each in new if each not in old], [each for each in old if each not in new]

    def _apply(self, user_id: str, nodes: int, member: Member | None) -> bool:
        if nodes > 1:
            self._shared.add(user_id)
        else:
            self._shared.discard(user_id)
        if nodes == 0:
            return self._go(user_id)
        if member is None or user_id in self._members:
            return False
        self._come(member)
        return True
