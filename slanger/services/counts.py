"""How many are on a channel, told to those who are on it ("Subscription count events")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slanger.domain.apps import App
from slanger.domain.channels import Counts
from slanger.domain.webhooks import Occurrence
from slanger.interfaces import IBroker, IWebhooks
from slanger.protocol import codec
from slanger.protocol.messages import Message
from slanger.protocol.names import COUNT_INTERVAL, SMALL_CHANNEL, is_inbox, is_presence

Send = Callable[[App, str, Message], object]


class SubscriptionCounts(Service):
    """Tell each change of a small channel at once, those of a large one at most every few seconds.

    :param broker: counts for the whole cluster.
    :param webhooks: told each time the subscribers are.
    """

    name = "subscription counts"
    _log = Logger()

    def __init__(self, broker: IBroker, webhooks: IWebhooks, clock: IReactorTime) -> None:
        self._broker = broker
        self._webhooks = webhooks
        self._clock = clock
        self._changed_since: dict[tuple[str, str], bool] = {}
        self._resting: dict[tuple[str, str], IDelayedCall] = {}

    def stopService(self) -> None:
        """Tell nothing more."""
        super().stopService()
        for call in self._resting.values():
            call.cancel()
        self._resting.clear()

    def changed(self, app: App, channel: str, send: Send) -> None:
        """Learn that someone came or went.

        :param send: reaches the channel's subscribers everywhere.
        """
        if not app.subscription_counts or is_presence(channel) or is_inbox(channel):
            return
        place = (app.key, channel)
        if place in self._changed_since:
            self._changed_since[place] = True
            return
        self._changed_since[place] = False
        counting = self._broker.counts(app, [channel]).addCallback(self._tell, app, channel, send)
        counting.addErrback(self._failed, place)

    def _tell(self, counts: Mapping[str, Counts], app: App, channel: str, send: Send) -> None:
        count = counts[channel].subscriptions
        if count:
            send(app, channel, codec.subscription_count(channel, count))
        self._webhooks.tell(app, Occurrence(name="subscription_count", channel=channel, subscription_count=count))
        if count > SMALL_CHANNEL and self.running:
            rest = self._clock.callLater(COUNT_INTERVAL, self._rested, app, channel, send)
            self._resting[app.key, channel] = rest
        else:
            self._rested(app, channel, send)

    def _rested(self, app: App, channel: str, send: Send) -> None:
        place = (app.key, channel)
        self._resting.pop(place, None)
        if self._changed_since.pop(place):
            self.changed(app, channel, send)

    def _failed(self, failure: Failure, place: tuple[str, str]) -> None:
        self._changed_since.pop(place, None)
        self._log.failure("counting {channel} failed", failure, channel=place[1])
