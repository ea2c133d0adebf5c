"""Deploys: the clients of a node that stops come to another, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.cluster.case import ClusterTestCase
from tests.cluster.moving import DEAD, move
from tests.cluster.nodes import JOINED
from tests.cluster.proxy import Balancer
from tests.cluster.redis import RedisServer
from tests.cluster.tenants import TELLING, TOLD, settings_file
from tests.process.running import children, closed_with, runs
from tests.sdk.case import ADDED, REMOVED, SUBSCRIBED, fresh, in_the_clear
from tests.sdk.tenants import running_receiver
from tests.server import KEY, PATIENCE, Server, wait_for

CROWD = 500
WORKERS = 2


class Moving(ClusterTestCase):
    """Two nodes, of which one is told to stop."""

    def test_crowd(self) -> None:
        """Stop: clients that come back elsewhere are never announced as gone, nor as new; the status is 0."""
        cluster = self.start_cluster(2, "--drain-seconds=2")
        leaving, staying = cluster.nodes
        report = asyncio.run(move(cluster.redis, leaving, staying, CROWD))
        self.assertEqual(report.witnessed, [])
        self.assertEqual((report.status, set(report.codes), len(report.waits)), (0, {4200}, CROWD))
        self.assertNotIn("Traceback", leaving.log)

    def test_pusher_js(self) -> None:
        """Stop: pusher-js connects again at once, to another node, on its channels; who stays there sees nothing."""
        cluster = self.start_cluster(2)
        leaving, staying = cluster.nodes
        balancer = self.enterContext(Balancer(leaving.websocket_port, staying.websocket_port))
        room = fresh("presence-room")
        witness = self.connected("witness", node=staying)
        witness.subscribe(room)
        mover = self.connected("mover", node=leaving, where=lambda _: in_the_clear(balancer.port))
        mover.subscribe(room)
        witness.expect(ADDED, room)
        before = mover.socket_id
        self.assertEqual(leaving.terminate(), 0)
        self.assertEqual(mover.expect(SUBSCRIBED, room).data["count"], 2)
        self.assertNotEqual(mover.socket_id, before)
        wait_for("the end of the grace", lambda: not cluster.redis.admin.zcard(DEAD))
        self.assert_users([staying], room, ["mover", "witness"])
        self.trigger(staying, room, "still-here")
        mover.expect("still-here", room)
        witness.expect("still-here", room)
        self.assertEqual(witness.heard(room), [])
        mover.unsubscribe(room)
        witness.expect(REMOVED, room, where=lambda data: data["id"] == "mover")

    def test_who_does_not_come_back(self) -> None:
        """Stop: who does not come back is announced as gone by the node that is left; the app hears of it once."""
        self.app = TELLING
        cluster = self.start_cluster(2, f"--config={settings_file()}")
        leaving, staying = cluster.nodes
        room = fresh("presence-room")
        witness = self.connected("witness", node=staying)
        witness.subscribe(room)
        self.connected("leaver", node=leaving).subscribe(room)
        witness.expect(ADDED, room)
        self.assertEqual(leaving.terminate(), 0)
        witness.expect(REMOVED, room, where=lambda data: data["id"] == "leaver")
        running_receiver().expect(TOLD, name="member_removed", channel=room, user_id="leaver")
        self.assert_users([staying], room, ["witness"])

    def test_without_redis(self) -> None:
        """Stop: a node that is cut off sends its clients away and ends with status 0, all the same."""
        cluster = self.start_cluster(2)
        leaving, _ = cluster.nodes
        client = self.connected("ann", node=leaving)
        client.subscribe(fresh("presence-room"))
        for swallowed in (False, True):
            if swallowed:
                leaving.start()
                cluster.proxies[0].swallow()
            else:
                cluster.proxies[0].refuse()
                leaving.wait_until_cut_off()
            self.assertEqual(leaving.terminate(), 0)
            cluster.proxies[0].go_on()


class StoppingWorkers(ClusterTestCase):
    """A server with workers."""

    def setUp(self) -> None:
        """Start one."""
        super().setUp()
        redis = self.enterContext(RedisServer())
        options = (f"--redis-url={redis.url}", f"--workers={WORKERS}", "--drain-seconds=600")
        self.server = self.enterContext(Server(*options))
        wait_for("all workers", lambda: self.server.log.count(JOINED) == WORKERS)
        self.pids = children(self.server.pid)

    def crowd(self, count: int) -> list[ClientConnection]:
        """Connect some clients."""
        url = f"ws://127.0.0.1:{self.server.websocket_port}/app/{KEY}?protocol=7"
        return [self.enterContext(connect(url, proxy=None, open_timeout=PATIENCE)) for _ in range(count)]

    def test_everybody_is_told(self) -> None:
        """Stop: a signal to all processes at once, as by a terminal or by systemd, is one signal; the status is 0."""
        clients = self.crowd(40)
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in self.pids:
                os.kill(pid, number)
        self.server.signal(signal.SIGINT)
        self.assertEqual([closed_with(client) for client in clients], [4200] * 40)
        self.assertEqual(self.server.wait(), 0)
        self.assertFalse(any(Path(f"/proc/{pid}").exists() for pid in self.pids))
        self.assertNotIn("Traceback", self.server.log)

    def test_second_signal(self) -> None:
        """Stop: a second signal ends the workers at once, too."""
        clients = self.crowd(300)
        self.server.signal(signal.SIGTERM)
        wait_for("somebody sent away", lambda: "clients away" in self.server.log)
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), -signal.SIGTERM)
        wait_for("their end", lambda: not any(runs(pid) for pid in self.pids))
        self.assertIn(None, [closed_with(client) for client in clients])
