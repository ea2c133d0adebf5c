"""Users who signed in, and who watches whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slanger.domain.users import SignedInUsers
from tests.builders import make_user
from tests.strategies import PROPERTY

IDS = st.sampled_from(["1", "2", "3"])


class SignedInUsersTest(SynchronousTestCase):
    """Watchlist events: the tables under them."""

    def setUp(self) -> None:
        """Begin with nobody."""
        self.users: SignedInUsers[str] = SignedInUsers()

    def test_connections(self) -> None:
        """Terminating a user's connections: each user has his own, as many as he opened."""
        for user_id, socket_id in (("7", "1.1"), ("7", "2.2"), ("8", "3.3")):
            self.users.add(make_user(user_id), socket_id, f"connection {socket_id}")
        self.assertEqual(self.users.connections("7"), {"1.1": "connection 1.1", "2.2": "connection 2.2"})
        self.assertEqual(self.users.connections("9"), {})
        self.users.remove(make_user("7"), "1.1")
        self.assertEqual(list(self.users.connections("7")), ["2.2"])

    def test_watchers(self) -> None:
        """Watchlist events: watchers are found by whom they watch; being signed in makes no watcher."""
        self.users.add(make_user("7", "8", "9"), "1.1", "one")
        self.users.add(make_user("8", "9"), "2.2", "two")
        self.assertEqual(self.users.watchers("9"), {"1.1": "one", "2.2": "two"})
        self.assertEqual((self.users.watchers("8"), self.users.watchers("7")), ({"1.1": "one"}, {}))

    def test_unknown(self) -> None:
        """Removing one who is not there takes nobody else away."""
        self.users.add(make_user("7", "8"), "1.1", "one")
        self.users.remove(make_user("7", "8"), "2.2")
        self.users.remove(make_user("8", "7"), "1.1")
        self.assertEqual((self.users.connections("7"), self.users.watchers("8")), ({"1.1": "one"}, {"1.1": "one"}))

    @PROPERTY
    @given(st.lists(st.tuples(IDS, st.lists(IDS, unique=True)), max_size=8))
    def test_nothing_left(self, signed_in: list[tuple[str, list[str]]]) -> None:
        """Bounded: each is found while he is there, and when all are gone nothing is left."""
        users: SignedInUsers[int] = SignedInUsers()
        there = {}
        for number, (user_id, watchlist) in enumerate(signed_in):
            there[number] = make_user(user_id, *watchlist)
            users.add(there[number], f"{number}.1", number)
        for number in list(there):
            for user_id in ("1", "2", "3"):
                connections = [each for each, user in there.items() if user.id == user_id]
                watchers = [each for each, user in there.items() if user_id in user.watchlist]
                self.assertEqual(list(users.connections(user_id).values()), connections)
                self.assertEqual(list(users.watchers(user_id).values()), watchers)
            users.remove(there.pop(number), f"{number}.1")
        self.assertEqual(len(users), 0)
