"""Rosters, against a model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.presence import Roster
from slanger.protocol.messages import Member
from tests.builders import make_member
from tests.strategies import PROPERTY

USERS = st.sampled_from(["1", "2", "3"])
HOLDERS = st.sampled_from(["1.1", "2.2", "3.3"])


class RosterEdges(SynchronousTestCase):
    """Presence: users with several connections."""

    def test_first_and_last(self) -> None:
        """Presence: a user comes with his first connection and goes with his last."""
        roster = Roster()
        member = make_member("7")
        self.assertEqual([roster.enter(member, "1.1"), roster.enter(member, "2.2")], [True, False])
        self.assertEqual([roster.leave("7", "1.1"), "7" in roster, roster.leave("7", "2.2")], [False, True, True])
        self.assertEqual((list(roster), len(roster), "7" in roster), ([], 0, False))

    def test_other_info(self) -> None:
        """Presence: the first user_info stands until the last connection has left, also that of the first."""
        roster = Roster()
        first, second = make_member("7", '{"name":"Ann"}'), make_member("7", '{"name":"Bo"}')
        roster.enter(first, "1.1")
        roster.enter(second, "2.2")
        self.assertEqual(list(roster), [first])
        roster.leave("7", "1.1")
        self.assertEqual(list(roster), [first])
        roster.leave("7", "2.2")
        roster.enter(second, "2.2")
        self.assertEqual(list(roster), [second])

    def test_unknown(self) -> None:
        """Presence: an unknown user or connection changes nothing by leaving."""
        roster = Roster()
        self.assertFalse(roster.leave("7", "1.1"))
        roster.enter(make_member("7"), "1.1")
        self.assertFalse(roster.leave("7", "2.2"))
        self.assertFalse(roster.leave("8", "1.1"))
        self.assertIn("7", roster)

    def test_same_connection_twice(self) -> None:
        """Presence: a connection holds a user once, however often it says so."""
        roster = Roster()
        roster.enter(make_member("7"), "1.1")
        self.assertFalse(roster.enter(make_member("7"), "1.1"))
        self.assertTrue(roster.leave("7", "1.1"))


class RosterTable(RuleBasedStateMachine):
    """A roster beside a dictionary of sets."""

    @initialize()
    def begin(self) -> None:
        """Begin with nobody."""
        self.roster = Roster()
        self.holders: dict[str, set[str]] = {}
        self.members: dict[str, Member] = {}

    @rule(user_id=USERS, holder=HOLDERS, info=st.sampled_from([None, '{"a":1}', '{"b":2}']))
    def enter(self, user_id: str, holder: str, info: str | None) -> None:
        """The first edge is told, and the first info stands."""
        member = make_member(user_id, info)
        assert self.roster.enter(member, holder) == (user_id not in self.holders)
        self.members.setdefault(user_id, member)
        self.holders.setdefault(user_id, set()).add(holder)

    @rule(user_id=USERS, holder=HOLDERS)
    def leave(self, user_id: str, holder: str) -> None:
        """The last edge is told, once."""
        holders = self.holders.get(user_id, set())
        assert self.roster.leave(user_id, holder) == (holders == {holder})
        holders.discard(holder)
        if not holders and user_id in self.holders:
            del self.holders[user_id], self.members[user_id]

    @invariant()
    def agrees(self) -> None:
        """Each user with a connection is there once, in the order they came."""
        assert list(self.roster) == list(self.members.values())
        assert len(self.roster) == len(self.members)
        assert all((user_id in self.roster) == (user_id in self.members) for user_id in ("1", "2", "3"))


class RosterTableTest(SynchronousTestCase):
    """A roster, and its model."""

    def test_anything(self) -> None:
        """A roster is what a dictionary of sets is, whoever comes and goes."""
        run_state_machine_as_test(RosterTable, settings=PROPERTY)
