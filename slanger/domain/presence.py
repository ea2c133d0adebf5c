"""Rosters: who is present on a presence channel.

A user is present while something holds him there: a connection of this node, or another node that has one. The
edges that subscribers hear about are the first holder and the last ("Presence channels": users with several
connections).
"""

from __future__ import annotations

from collections.abc import Iterator

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
