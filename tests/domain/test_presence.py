"""Rosters, against a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.presence import Roster, RosterCopy
from slanger.protocol.codec import RosterText
from slanger.protocol.messages import Member
from tests.builders import make_member, read_data
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


class RosterData(SynchronousTestCase):
    """Presence: what a joiner is told."""

    def test_added_to(self) -> None:
        """Presence: who comes is added to what is told; who is there is not written again, however often."""
        roster, written = Roster(), []

        def note(text: RosterText, member: Member) -> None:
            written.append(member.user_id)
            add(text, member)

        add = RosterText.add
        self.patch(RosterText, "add", note)
        for number in range(100):
            roster.enter(make_member(str(number)), "1.1")
            roster.enter(make_member(str(number)), "2.2")
            self.assertEqual(read_data(roster.data())["presence"]["count"], number + 1)
        self.assertEqual(written, [str(number) for number in range(100)])

    def test_copy(self) -> None:
        """Presence: a copy tells of who came and went, and of a new picture."""
        copy, ann, bo, cy = RosterCopy(), make_member("1", '{"name":"Ann"}'), make_member("2"), make_member("3")
        copy.come(ann)
        told = [copy.data()]
        copy.come(bo)
        told.append(copy.data())
        copy.go("1")
        told.append(copy.data())
        copy.picture(1, [cy, ann])
        told.append(copy.data())
        self.assertEqual(told, [RosterText(each).data() for each in ([ann], [ann, bo], [bo], [cy, ann])])


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

    @rule()
    def tell(self) -> None:
        """What a joiner is told is right, whoever has come and gone since another was told."""
        assert self.roster.data() == RosterText(self.members.values()).data()

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


@dataclass(frozen=True)
class Published:
    """One change of a roster in the cluster; positions begin with 1."""

    user_id: str
    there: bool


@st.composite
def histories(draw: st.DrawFn) -> list[Published]:
    """Make changes that a cluster may publish: nobody comes twice, and nobody goes who is not there."""
    there: set[str] = set()
    history = []
    for user_id in draw(st.lists(st.sampled_from("abcd"), max_size=20)):
        history.append(Published(user_id, user_id not in there))
        there ^= {user_id}
    return history


def present(history: Sequence[Published]) -> set[str]:
    """Say who is there after changes."""
    there: set[str] = set()
    for change in history:
        there ^= {change.user_id}
    return there


class Copies(SynchronousTestCase):
    """A node's copy of a roster."""

    @given(histories(), st.data())
    def test_agrees(self, history: list[Published], data: st.DataObject) -> None:
        """Whenever pictures were taken, the copy ends as the roster, and what it told adds up to it."""
        asked = data.draw(st.integers(0, len(history)))
        taken = data.draw(st.integers(asked, len(history)))
        comes = data.draw(st.integers(taken, len(history)))
        again = data.draw(st.integers(comes, len(history)))
        copy = RosterCopy()
        told: set[str] = set()
        for at in range(len(history) + 1):
            if at:
                change = history[at - 1]
                if copy.change(at, change.user_id, int(change.there), Member(change.user_id)):
                    told ^= {change.user_id}
            if at == asked:
                copy.expect()
            if at == comes:
                self.assertEqual(copy.picture(taken, map(Member, present(history[:taken]))), ([], []))
                told = {member.user_id for member in copy}
                self.assertEqual(told, present(history[:at]))
            if at == again:
                copy.expect()
                added, removed = copy.picture(at, map(Member, present(history[:at])))
                self.assertEqual((added, removed), ([], []))
        self.assertEqual({member.user_id for member in copy}, present(history))
        self.assertEqual(told, present(history))

    @given(histories(), st.sets(st.sampled_from("abcdef")))
    def test_after_a_cut(self, history: list[Published], known: set[str]) -> None:
        """After a cut a picture tells exactly what differs, once."""
        copy = RosterCopy()
        for user_id in sorted(known):
            self.assertTrue(copy.come(Member(user_id)))
            self.assertFalse(copy.come(Member(user_id)))
        if not known:
            self.assertFalse(copy.go("nobody"))
        there = present(history)
        copy.expect()
        added, removed = copy.picture(len(history), map(Member, there))
        self.assertEqual({member.user_id for member in added}, there - known)
        self.assertEqual(set(removed), known - there)
        copy.expect()
        self.assertEqual(copy.picture(len(history), map(Member, there)), ([], []))

    def test_unknown(self) -> None:
        """Nothing is told of a roster that is not known yet."""
        copy = RosterCopy()
        self.assertFalse(copy.change(1, "a", 1, Member("a")))
        self.assertFalse(copy.known)
        self.assertEqual(len(copy), 0)

    def test_old_news(self) -> None:
        """A change that a picture contains already is no news, even if it says otherwise."""
        copy = RosterCopy()
        copy.expect()
        copy.picture(5, [Member("a")])
        self.assertFalse(copy.change(5, "a", 0))
        self.assertTrue(copy.change(6, "a", 0))
        self.assertNotIn("a", copy)

    def test_first_info(self) -> None:
        """The info of the first stands, whichever is heard later."""
        copy = RosterCopy()
        copy.expect()
        copy.change(2, "a", 1, Member("a", Raw(b'{"n":2}')))
        copy.picture(1, [Member("a", Raw(b'{"n":1}'))])
        self.assertEqual([member.user_info for member in copy], [Raw(b'{"n":1}')])

    def test_held_elsewhere(self) -> None:
        """A user whom this node lets go by its own knowledge stays while another node holds him too."""
        copy = RosterCopy()
        copy.expect()
        copy.picture(1, [Member("a"), Member("b")], ["a"])
        self.assertFalse(copy.change(2, "b", 2))
        self.assertEqual((copy.go("a"), copy.go("b")), (False, False))
        for user_id, position in (("a", 3), ("b", 4)):
            self.assertFalse(copy.change(position, user_id, 1))
            self.assertIn(user_id, copy)
            self.assertTrue(copy.go(user_id))

    def test_no_picture(self) -> None:
        """A picture that will not come leaves the copy as it was, ready for another."""
        copy = RosterCopy()
        copy.expect()
        self.assertTrue(copy.expecting)
        copy.forget_expected()
        self.assertFalse(copy.expecting)
        copy.expect()
        copy.picture(1, [Member("a")])
        self.assertIn("a", copy)
