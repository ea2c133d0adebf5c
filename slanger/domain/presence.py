"""Rosters: who is present on a presence channel.

A user is present while something holds him there: a connection of this node, or another node that has one. The
edges that subscribers hear about are the first holder and the last ("Presence channels": users with several
connections).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slanger.protocol.messages import Member


class Roster:
    """The users on one channel, in the order they came, each with what holds him there."""

    __slots__ = ("_holders", "_members")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._holders: dict[str, set[str]] = {}

    def enter(self, member: Member, holder: str) -> bool:
        """Let a holder keep a user present; tell whether it is his first.

        The `user_info` of the first stands until the last has let go, whatever later ones bring.
        """
        holders = self._holders.get(member.user_id)
        if holders is None:
            self._members[member.user_id] = member
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
        del self._members[user_id], self._holders[user_id]
        return True

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._members

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)


class RosterCopy:
    """A node's copy of a roster that the cluster decides, kept current by what is published of it.

    Each change has a position, and so has each picture of the whole; a change that the picture contains already is
    skipped. Until the first picture has come the copy is not known, and nothing is told of it.

    :ivar known: whether there was a picture.
    """

    __slots__ = ("_changes", "_members", "_position", "known")

    def __init__(self) -> None:
        self.known = False
        self._members: dict[str, Member] = {}
        self._position = 0
        self._changes: list[tuple[int, str, Member | None]] | None = None

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

    def change(self, position: int, user_id: str, member: Member | None) -> bool:
        """Let a user be there, or, with None, be gone; tell whether that is news."""
        if self._changes is not None:
            self._changes.append((position, user_id, member))
        if not self.known or position <= self._position:
            return False
        self._position = position
        return self._set(user_id, member)

    def set(self, user_id: str, member: Member | None) -> bool:
        """Change the copy out of this node's own knowledge; tell whether that is news."""
        self.known = True
        return self._set(user_id, member)

    def picture(self, position: int, members: Iterable[Member]) -> tuple[list[Member], list[str]]:
        """Take a picture over; tell who is there that was not, and who is not that was. The first is no news.

        :param position: of the last change that it contains.
        """
        new = {member.user_id: member for member in members}
        self._position = position
        for later, user_id, member in self._changes or ():
            if later <= position:
                continue
            self._position = later
            if member is None:
                new.pop(user_id, None)
            else:
                new.setdefault(user_id, member)
        self._changes = None
        old, self._members = self._members, new
        if not self.known:
            self.known = True
            return [], []
        return [new[each] for each in new if each not in old], [each for each in old if each not in new]

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._members

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def _set(self, user_id: str, member: Member | None) -> bool:
        if (user_id in self._members) == (member is not None):
            return False
        if member is None:
            del self._members[user_id]
        else:
            self._members[user_id] = member
        return True
