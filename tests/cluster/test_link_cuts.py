"""Links to Redis that are cut, again and again, in all the ways links are cut."""

from __future__ import annotations

import itertools
import time
from functools import partial

from tests.cluster.case import ClusterTestCase, show
from tests.cluster.proxy import Proxy
from tests.cluster.publisher import Publisher, Tally
from tests.sdk.case import fresh
from tests.server import let_pass

RATE = 50
SECONDS = 20
CUTS = 40
INTERVAL = SECONDS / CUTS

MOMENT = 0.25
"""Seconds for which a proxy loses bytes before it resets the connections."""

LONG = 8
"""Intervals for which a proxy loses bytes and keeps the connections open: the node must notice by itself."""


class LinkCuts(ClusterTestCase):
    """Two nodes; all is published through the first, and heard at both."""

    def test_cuts(self) -> None:
        """Redis away: 50 events/s for 20 s, 40 cuts of both nodes' links: every event comes once, in order."""
        self.cluster = self.start_cluster(2)
        publishing, hearing = self.cluster.nodes
        channel = fresh("news")
        listeners = [self.listener(node) for node in (hearing, hearing, publishing)]
        for listener in listeners:
            listener.subscribe(channel)
        client = self.connected(node=hearing)
        client.subscribe(channel)
        self.wait_until_heard(publishing, channel, partial(listeners[0].heard, channel=channel))
        with Publisher(publishing, channel, RATE) as publisher:
            self.cut_again_and_again()
        tally = Tally.when_complete(publisher.published, listeners, channel)
        show(f"\n{CUTS} cuts: {tally}")
        self.assertEqual(publisher.refused, [])
        self.assertGreaterEqual(publisher.published, RATE * SECONDS * 0.9)
        self.assertEqual(tally.faults, (0, 0, 0), str(tally))
        client.expect("counted", channel, where=lambda number: number == publisher.published - 1)
        heard = [seen.data for seen in client.seen("counted", channel)]
        self.assertEqual(heard, list(range(publisher.published - 1)))

    def cut_again_and_again(self) -> None:
        """Cut the links of both nodes in turn, each time in the next way; twice, let a link be dead for long."""
        started = time.monotonic()
        first, second = self.cluster.proxies
        ways = itertools.cycle([self.kill, Proxy.cut, self.lose])
        turns = itertools.cycle([first, second])
        for number in range(CUTS):
            if number in DEAD_AT:
                dead = (first, second)[DEAD_AT[number]]
                dead.swallow()
                turns = itertools.cycle([first if dead is second else second])
            elif number - LONG in DEAD_AT:
                dead.go_on()
                turns = itertools.cycle([first, second])
            else:
                next(ways)(next(turns))
            let_pass(max(0.0, started + (number + 1) * INTERVAL - time.monotonic()))

    def kill(self, proxy: Proxy) -> None:
        """Have Redis close the connections of a node."""
        for address in proxy.addresses:
            self.cluster.redis.admin.client_kill_filter(addr=address)

    def lose(self, proxy: Proxy) -> None:
        """Lose what is under way for a moment, then reset the connections."""
        proxy.swallow()
        let_pass(MOMENT)
        proxy.go_on()
        proxy.cut()


DEAD_AT = {8: 1, 24: 0}
"""Which node's link is dead for long, from which cut on."""
