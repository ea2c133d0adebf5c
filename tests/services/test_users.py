"""Who is signed in, and who wants to know."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slanger.interfaces import IUsers
from tests.builders import Client, Json, MemoryNode, SlowBroker, make_app

WATCHLIST = "pusher_internal:watchlist_events"
TERMINATED = "You got disconnected by the app."


def groups(**users: list[str]) -> Json:
    """Give the data of a watchlist event with these groups."""
    return {"events": [{"name": name, "user_ids": ids} for name, ids in users.items()]}


class UsersTestCase(SynchronousTestCase):
    """A node in memory."""

    def setUp(self) -> None:
        """Start it."""
        self.begin()

    def begin(self, **changes: Any) -> None:
        """Start a node whose app is changed as named."""
        self.app = make_app(**changes)
        self.node = MemoryNode(self.app, make_app("another-key", **changes))

    def signed_in(self, user_id: str, *watchlist: str) -> Client:
        """Let a user in who watches others, and take in what he is told at first."""
        client = Client(self.node)
        client.sign_in(user_id, *watchlist)
        self.assertEqual(client.events()[:1], ["pusher:signin_success"])
        return client

    def assert_nothing_left(self) -> None:
        """Check that no table holds anything."""
        self.assertEqual(self.node.broker._rosters, {})
        self.assertEqual([len(table) for table in self.node.users._tables.values() if len(table)], [])


class Watching(UsersTestCase):
    """Watchlist events: online and offline."""

    def test_interface(self) -> None:
        """It provides `IUsers`."""
        self.assertTrue(verifyObject(IUsers, self.node.users))

    def test_first_and_last(self) -> None:
        """Watchlist events: a user is online from his first connection to three seconds after his last."""
        watcher = self.signed_in("7", "8")
        first, second = self.signed_in("8"), self.signed_in("8")
        self.assertEqual(watcher.heard(), [(WATCHLIST, groups(online=["8"]))])
        first.go()
        self.node.clock.advance(10)
        self.assertEqual(watcher.heard(), [])
        second.go()
        self.node.clock.advance(2.9)
        self.assertEqual(watcher.heard(), [])
        self.node.clock.advance(0.1)
        self.assertEqual(watcher.heard(), [(WATCHLIST, groups(offline=["8"]))])
        self.signed_in("8")
        self.assertEqual(watcher.heard(), [(WATCHLIST, groups(online=["8"]))])

    def test_message(self) -> None:
        """Watchlist events: the message names no channel."""
        watcher = self.signed_in("7", "8")
        self.signed_in("8")
        self.assertEqual(
            watcher.wire.messages[0].text,
            rb'{"event":"pusher_internal:watchlist_events",'
            rb'"data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"8\"]}]}"}',
        )

    def test_grace(self) -> None:
        """Watchlist events: one who is back within three seconds was never offline, and is not online anew."""
        watcher = self.signed_in("7", "8")
        watched = self.signed_in("8")
        watcher.heard()
        for _ in range(3):
            watched.go()
            self.node.clock.advance(2.9)
            watched = self.signed_in("8")
        self.node.clock.advance(10)
        self.assertEqual(watcher.heard(), [])

    def test_three_users(self) -> None:
        """Watchlist events: each watcher hears of those on his list, and of nobody else."""
        ann, bo = self.signed_in("ann", "bo", "cy"), self.signed_in("bo", "ann")
        cy = self.signed_in("cy")
        self.assertEqual(ann.heard(), [(WATCHLIST, groups(online=["bo"])), (WATCHLIST, groups(online=["cy"]))])
        self.assertEqual((bo.heard(), cy.heard()), ([], []))
        ann.go()
        self.node.clock.advance(3)
        self.assertEqual((bo.heard(), cy.heard()), ([(WATCHLIST, groups(offline=["ann"]))], []))

    def test_each_connection_watches(self) -> None:
        """Watchlist events: every connection of a watcher hears, and one that has gone does not."""
        one, two, gone = self.signed_in("7", "8"), self.signed_in("7", "8"), self.signed_in("7", "8")
        gone.go()
        self.signed_in("8")
        self.assertEqual([len(each.heard()) for each in (one, two, gone)], [1, 1, 0])

    def test_presence_does_not_count(self) -> None:
        """Watchlist events: being on a presence channel makes nobody online."""
        watcher = self.signed_in("7", "8")
        client = Client(self.node)
        client.subscribe("presence-a", "8")
        self.assertEqual(watcher.heard(), [])

    def test_inbox_does_not_count(self) -> None:
        """Watchlist events: signing in counts; joining and leaving the inbox changes nothing."""
        watcher = self.signed_in("7", "8")
        watched = self.signed_in("8")
        watched.subscribe("#server-to-user-8")
        watched.receive(b'{"event":"pusher:unsubscribe","data":{"channel":"#server-to-user-8"}}')
        self.node.clock.advance(10)
        self.assertEqual(watcher.heard(), [(WATCHLIST, groups(online=["8"]))])

    def test_signing_in_again(self) -> None:
        """pusher:signin: the same user again on one connection counts once."""
        watcher = self.signed_in("7", "8")
        watched = self.signed_in("8")
        watched.sign_in("8")
        watched.go()
        self.node.clock.advance(3)
        self.assertEqual([data["events"][0]["name"] for _, data in watcher.heard()], ["online", "offline"])
        watcher.go()
        self.node.clock.advance(3)
        self.assert_nothing_left()

    def test_switched_off(self) -> None:
        """Watchlist events: where the app has them off nobody is told anything."""
        self.begin(watchlists=False)
        watcher = self.signed_in("7", "8")
        self.signed_in("8")
        self.assertEqual(watcher.heard(), [])

    def test_nothing_left(self) -> None:
        """Bounded: users who have gone leave nothing behind."""
        clients = [self.signed_in(str(number), "1", "2", "300") for number in range(20)]
        for client in clients:
            client.go()
        self.node.clock.advance(3)
        self.assert_nothing_left()

    def test_stopped(self) -> None:
        """Once the server stops nothing more is told, and no call is left waiting, whoever goes afterwards."""
        watcher, watched, other = self.signed_in("7", "8", "9"), self.signed_in("8"), self.signed_in("9")
        watcher.heard()
        watched.go()
        self.node.stop()
        other.go()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        self.node.clock.advance(3)
        self.assertEqual([event for event, _ in watcher.heard()], ["pusher:error"])


class Snapshot(UsersTestCase):
    """Watchlist events: the first picture."""

    def snapshot(self, *watchlist: str) -> list[tuple[str, Any]]:
        """Sign in with a watchlist; give what is told after success."""
        client = Client(self.node)
        client.sign_in("7", *watchlist)
        (event, _), *rest = client.heard()
        self.assertEqual(event, "pusher:signin_success")
        return rest

    def test_both_groups(self) -> None:
        """Watchlist events: after success one message says of each watched user whether he is online."""
        self.signed_in("8")
        self.signed_in("9")
        self.assertEqual(
            self.snapshot("10", "9", "11", "8"), [(WATCHLIST, groups(online=["9", "8"], offline=["10", "11"]))]
        )

    def test_empty_groups(self) -> None:
        """Watchlist events: a group without anybody is left out; who watches nobody gets no picture."""
        self.signed_in("8")
        self.assertEqual(self.snapshot("8"), [(WATCHLIST, groups(online=["8"]))])
        self.assertEqual(self.snapshot("9"), [(WATCHLIST, groups(offline=["9"]))])
        self.assertEqual(self.snapshot(), [])

    def test_held_back(self) -> None:
        """Watchlist events: one who is hardly away is online in the picture; then he is told offline, or nothing."""
        for back in (False, True):
            self.begin()
            self.signed_in("8").go()
            self.node.clock.advance(1)
            watcher = Client(self.node)
            watcher.sign_in("7", "8")
            self.assertEqual(watcher.heard()[1:], [(WATCHLIST, groups(online=["8"]))])
            if back:
                self.signed_in("8")
            self.node.clock.advance(3)
            self.assertEqual(watcher.heard(), [] if back else [(WATCHLIST, groups(offline=["8"]))])

    def test_apps(self) -> None:
        """Apps never see each other's users."""
        self.signed_in("8").go()
        self.signed_in("8")
        counts = self.successResultOf(self.node.broker.counts(make_app("another-key"), ["#server-to-user-8"]))
        self.assertEqual(counts["#server-to-user-8"].users, 0)
        self.assertEqual(list(self.node.users._tables), [self.app.key])

    def test_first_told(self) -> None:
        """Watchlist events: the picture is the first that a watcher is told, though he watches himself."""
        said = self.snapshot("7", "8")
        self.assertEqual(said, [(WATCHLIST, groups(online=["7"], offline=["8"]))])


class SigningInTakesTime(UsersTestCase):
    """Watchlist events, with a broker that answers when told."""

    def test_gone_before_the_answer(self) -> None:
        """One who goes before the answer leaves no ghost, and his watchers see him come and go at most."""
        self.node = MemoryNode(self.app, broker=SlowBroker)
        broker = cast(SlowBroker, self.node.broker)
        watcher = self.signed_in("7", "8")
        broker.answer()
        watcher.heard()
        watched = self.signed_in("8", "7")
        watched.go()
        broker.answer()
        self.node.clock.advance(3)
        self.assertIn([data["events"][0]["name"] for _, data in watcher.heard()], ([], ["online", "offline"]))
        watcher.go()
        broker.answer()
        self.node.clock.advance(3)
        self.assert_nothing_left()


class Terminating(UsersTestCase):
    """Terminating a user's connections."""

    def closes(self, client: Client) -> list[tuple[int, str]]:
        """Give the codes and reasons a client was closed with."""
        return [(code.number, reason) for code, reason in client.wire.closes]

    def test_signed_in(self) -> None:
        """Terminating: all connections that signed in as the user are told why, and closed with 4009."""
        clients = [self.signed_in("7"), self.signed_in("7")]
        self.node.users.terminate(self.app, "7")
        for client in clients:
            self.assertEqual(client.heard(), [("pusher:error", {"code": 4009, "message": TERMINATED})])
            self.assertEqual(self.closes(client), [(4009, TERMINATED)])

    def test_nobody_else(self) -> None:
        """Terminating: other users stay, and so do those who are merely present under that id, or watch him."""
        other, watcher, guest = self.signed_in("77"), self.signed_in("8", "7"), Client(self.node)
        guest.subscribe("presence-a", "7")
        guest.heard()
        self.node.users.terminate(self.app, "7")
        self.node.users.terminate(make_app("another-key"), "77")
        for client in (other, watcher, guest):
            self.assertEqual((client.heard(), self.closes(client)), ([], []))

    def test_code_of_app(self) -> None:
        """Terminating: with 4200, where the app asks for it, clients come back at once."""
        self.begin(termination_code=4200)
        client = self.signed_in("7")
        self.node.users.terminate(self.app, "7")
        self.assertEqual(self.closes(client), [(4200, TERMINATED)])

    def test_everywhere(self) -> None:
        """Terminating: the other nodes are told, once."""
        asked: list[tuple[str, str]] = []
        self.patch(self.node.broker, "terminate", lambda app, user_id: asked.append((app.key, user_id)))
        self.node.users.terminate(self.app, "7")
        self.assertEqual(asked, [(self.app.key, "7")])
        self.node.node.terminate(self.app, "7")
        self.assertEqual(len(asked), 1)

    def test_may_return(self) -> None:
        """Terminating: the user may sign in again."""
        client = self.signed_in("7")
        self.node.users.terminate(self.app, "7")
        client.go(4009)
        again = self.signed_in("7")
        self.assertEqual(self.closes(again), [])
        again.go()
        self.assert_nothing_left()

    def test_closing_at_once(self) -> None:
        """Terminating: a transport that ends a connection at once is no fault."""
        clients = [self.signed_in("7"), self.signed_in("7")]
        for client in clients:
            self.patch(client.wire, "close", lambda code, _reason, client=client: client.go(code.number))
        self.node.users.terminate(self.app, "7")
        self.assert_nothing_left()
