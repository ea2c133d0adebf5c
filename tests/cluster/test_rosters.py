"""Rosters under random joins, leaves, disconnects, kills and restarts, against a model."""

from __future__ import annotations

import os
import random
import secrets

from tests.cluster.case import ClusterTestCase, show
from tests.cluster.model import ROOM, Model, Socket, Watcher
from tests.cluster.nodes import Node
from tests.cluster.proxy import Proxy
from tests.sdk.case import fresh
from tests.server import wait_for

SEED = "CLUSTER_SEED"
"""The environment variable that repeats a run."""

OPERATIONS = 200
USERS = [f"user-{number}" for number in range(30)]
SOCKETS = 3
"""Connections that a user has at most."""

SETTLE_EVERY = 10
ENDS = {25: Node.kill, 65: Node.kill, 105: Node.terminate, 145: Node.kill}
"""Operations that end a node, and how; a kill costs a lease."""

RESTART_AFTER = 18
"""Operations for which a node stays away: longer than one settling."""

LEASE = 2


class Rosters(ClusterTestCase):
    """Three nodes, thirty users with pusher-js; beside them a plain watcher on each node, who is told every frame."""

    def test_random_operations(self) -> None:
        """Presence: after 200 random operations no ghost, no double `member_added`, no early `member_removed`."""
        self.carry_out_operations(cuts=0.0)

    def test_random_cuts(self) -> None:
        """Redis away, presence: nor are there any where the links of the nodes are cut, and mended, all the time.

        Each user stays on one node, and no cut outlasts the lease: that a user has come to a node which is cut off, or
        is still on one, nobody else can know.
        """
        self.carry_out_operations(cuts=0.25)

    def carry_out_operations(self, cuts: float) -> None:
        """Carry out operations, and settle in between.

        :param cuts: how likely something happens to a link before an operation.
        """
        seed = os.environ.get(SEED) or str(secrets.randbelow(10**9))
        show(f"\n{SEED}={seed}")
        self.random = random.Random(seed)
        self.cuts = cuts
        self.cluster = self.start_cluster(3, f"--node-lease={20 if cuts else LEASE}")
        self.nodes = self.cluster.nodes
        self.away: dict[Node, int] = {}
        self.model = Model()
        self.story: list[str] = []
        try:
            for node in self.nodes:
                self.watch(node)
            for user in USERS:
                self.join(user)
                self.model.note()
            self.settle()
            for number in range(1, OPERATIONS + 1):
                if self.random.random() < cuts:
                    self.cut_or_mend(self.random.choice(self.running))
                self.operate(number)
                self.model.note()
                if number % SETTLE_EVERY == 0:
                    self.settle()
        except BaseException as fault:
            fault.add_note("; ".join(self.story))
            fault.add_note(f"repeat it with {SEED}={seed}")
            raise
        show(f"clients were told {self.model.added} times of who came, {self.model.removed} of who went")

    def operate(self, number: int) -> None:
        """Carry out one operation."""
        back = [node for node, ended_at in self.away.items() if number - ended_at >= RESTART_AFTER]
        if back:
            del self.away[back[0]]
            self.proxy(back[0]).go_on()
            back[0].start()
            self.watch(back[0])
        elif number in ENDS and not self.cuts:
            self.end(self.random.choice(self.running), number)
        else:
            self.random.choice([self.join] * 6 + [self.leave] * 2 + [self.disconnect] * 2)()

    @property
    def running(self) -> list[Node]:
        """Tell which nodes run."""
        return [node for node in self.nodes if node not in self.away]

    def tell(self, what: str, user: str, node: Node) -> None:
        """Note an operation, for the reader of a failed test."""
        self.story.append(f"{what} {user} at {self.nodes.index(node)}")

    def watch(self, node: Node) -> None:
        """Put a watcher on a node."""
        user = f"watcher-{self.nodes.index(node)}"
        self.tell("join", user, node)
        self.model.states.setdefault(user, {False}).add(True)
        self.model.watchers[node] = Watcher(user, self.listener(node, user))

    def join(self, user: str | None = None) -> None:
        """Subscribe a connection: one that has left before, or a new one of a user who may have one more.

        :param user: whose, if it is to be a new one.
        """
        idle = [socket for socket in self.model.sockets if not socket.subscribed]
        free = [user for user in USERS if sum(socket.user == user for socket in self.model.sockets) < SOCKETS]
        if user is None and not idle and not free:
            return
        if user is None and idle and (not free or self.random.random() < 0.3):
            socket = self.random.choice(idle)
        else:
            user, node = user or self.random.choice(free), self.random.choice(self.running)
            if self.cuts:
                node = self.nodes[USERS.index(user) % len(self.nodes)]
            socket = Socket(user, node, self.connected(user, node=node))
            self.model.sockets.append(socket)
        self.tell("join", socket.user, socket.node)
        socket.client.do("subscribe", channel=ROOM)
        wait_for("a subscription", lambda: socket.client.members(ROOM)["me"] is not None)
        socket.subscribed = True

    def leave(self) -> None:
        """Unsubscribe a connection."""
        if subscribed := self.model.subscribed():
            socket = self.random.choice(subscribed)
            self.tell("leave", socket.user, socket.node)
            socket.client.unsubscribe(ROOM)
            socket.subscribed = False

    def disconnect(self) -> None:
        """Lose a connection."""
        if self.model.sockets:
            self.lose(self.random.choice(self.model.sockets))

    def lose(self, socket: Socket) -> None:
        """Disconnect a client for good."""
        self.tell("disconnect" if socket.subscribed else "disconnect idle", socket.user, socket.node)
        socket.client.disconnect()
        self.model.lose(socket)

    def end(self, node: Node, number: int) -> None:
        """Kill a node, or stop it; its clients do not come back."""
        self.tell(ENDS[number].__name__, "node", node)
        ENDS[number](node)
        self.away[node] = number
        del self.model.watchers[node]
        for socket in [socket for socket in self.model.sockets if socket.node is node]:
            self.lose(socket)

    def proxy(self, node: Node) -> Proxy:
        """Give the way of a node to Redis."""
        return self.cluster.proxies[self.nodes.index(node)]

    def cut_or_mend(self, node: Node) -> None:
        """Do something to a node's links to Redis."""
        way = self.random.choice([Proxy.cut, Proxy.refuse, Proxy.go_on])
        self.tell(way.__name__, "links", node)
        way(self.proxy(node))

    def settle(self) -> None:
        """Wait until all agree; then check what everybody was told on the way."""
        for node in self.running:
            self.proxy(node).go_on()
            node.wait_until_joined()
        present = self.model.present()
        sockets = self.model.subscribed()
        self.assert_users(self.running, ROOM, sorted(present))
        self.assert_count(self.running, ROOM, len(sockets) + len(self.model.watchers))
        told: list[Socket | Watcher] = [*sockets, *self.model.watchers.values()]
        for node in self.running:  # what comes after this was not under way before
            marker = fresh("marker")
            self.trigger(node, ROOM, marker)
            wait_for("a marker", lambda: all(client.heard(marker) for client in told))  # noqa: B023 - at once
        try:
            wait_for("agreement of all clients", lambda: all(client.shows() == present for client in told))
        except AssertionError as fault:
            wrong = [f"{client.user}: {client.shows() ^ present}" for client in told if client.shows() != present]
            raise AssertionError(f"{fault}; wrong are {wrong}") from None
        self.model.check()
        self.driver.forget()
        here = sorted(f"{socket.user} at {self.nodes.index(socket.node)}" for socket in sockets)
        self.story = [f"there were {', '.join(here)}"]
