"""What the app is told, once for the cluster: noted in Redis by the scripts, claimed here by one node.

A node that has been cut off for longer than its lease is on its own: the cluster has taken it for dead, so it tells the
app by itself what begins and ends among its own subscribers.
"""

from __future__ import annotations

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from slanger.brokers.occurrences import LocalOccurrences
from slanger.brokers.redis.holdings import Held, Opened
from slanger.brokers.redis.links import Commands
from slanger.brokers.redis.root import Root
from slanger.brokers.redis.scripts import CLAIM
from slanger.complaints import Complaints
from slanger.domain.apps import Apps
from slanger.domain.webhooks import Occurrence
from slanger.protocol.names import is_inbox, is_presence

CLAIMS = 100
"""Occurrences that are claimed at a time."""

RECOUNTED = "recounted"
"""Names what is no occurrence for the app: how many are on a channel changed with nobody there to say so."""

_occurrence = msgspec.json.Decoder(tuple[str, str, str, str])


class Occurrences:
    """Claim what apps are to be told; tell it; acknowledge that.

    :ivar local: tells what this node decides by itself.
    """

    def __init__(self, root: Root, clock: IReactorTime, apps: Apps, complaints: Complaints) -> None:
        self._root = root
        self._apps = apps
        self._complaints = complaints
        self._commands: Commands | None = None
        self._lease = ""
        self._told: list[tuple[str, str]] = []
        self._claiming = False
        self.local = LocalOccurrences(clock)
        self.on_its_own = False

    # What Redis knows is due

    async def acknowledge(self, commands: Commands) -> None:
        """Acknowledge over a new link what was told before the cut, so that nobody tells it again."""
        told = tuple(self._told)
        if told:
            await commands.run(CLAIM, *self._root.arguments, "", 0, msgspec.json.encode(told), b"{}", b"{}")
            del self._told[: len(told)]

    def resume(self, commands: Commands, lease: str) -> None:
        """Claim over a new link."""
        self._commands = commands
        self._lease = lease
        self._claiming = False
        self.on_its_own = False
        self.local.hurry()
        self.claim()

    def pause(self) -> None:
        """Learn that the link is lost."""
        self._commands = None

    def wind_up(self) -> None:
        """Claim nothing more, and hold nothing back that this node has decided by itself."""
        self._apps = Apps(())
        self.local.hurry()

    def stop(self) -> None:
        """Tell nothing more: what was claimed and not told is left to the other nodes."""
        self._commands = None
        self._apps = Apps(())
        self.local.stop()

    def claim(self) -> None:
        """Claim what is due, and acknowledge what was told since the last time."""
        hooked = {app.key: True for app in self._apps if app.webhooks}
        counted = {app.key: True for app in self._apps if app.subscription_counts}
        if self._commands is None or self._claiming or not (hooked or counted):
            return
        self._claiming = True
        told = tuple(self._told)
        texts = [msgspec.json.encode(each) for each in (told, hooked, counted)]
        claiming = self._commands.run(CLAIM, *self._root.arguments, self._lease, CLAIMS, *texts)
        claiming.addCallbacks(self._claimed, self._lost, callbackArgs=(self._lease, len(told)))

    def _claimed(self, claimed: list[bytes], lease: str, acknowledged: int) -> None:
        if lease != self._lease or self._commands is None or not self._apps:
            return  # other nodes take it over
        self._claiming = False
        del self._told[:acknowledged]
        for text in claimed:
            self._told.append((lease, text.decode()))
            self._tell(text)
        if claimed:
            self.claim()

    def _tell(self, text: bytes) -> None:
        try:
            key, name, channel, user_id = _occurrence.decode(text)
        except ValueError as fault:
            self._complaints.count("bad message", f"an occurrence that cannot be read: {fault}")
            return
        app = self._apps.with_key(key)
        if app is None:
            self._complaints.count("stray occurrence", f"{name} of app {key!r}, which no node has told it of in time")
        elif name == RECOUNTED:
            self.local.node.recounted(app, channel)
        else:
            self.local.node.happened(app, _make(name, channel, user_id))

    def _lost(self, _: Failure) -> None:
        self._claiming = False

    # What this node tells by itself

    def opened_here(self, opened: Opened) -> None:
        """Learn that this node opened a channel while it is cut off."""
        if self.on_its_own and not opened.told and not is_presence(opened.channel):
            opened.told = True
            self.local.began(opened.app, Occurrence(name="channel_occupied", channel=opened.channel))

    def closed_here(self, opened: Opened) -> None:
        """Learn that this node closed a channel while it is cut off."""
        if opened.told and not is_presence(opened.channel):
            self.local.ended(opened.app, Occurrence(name="channel_vacated", channel=opened.channel))

    def began_here(self, held: Held, *, is_first: bool) -> None:
        """Learn that this node let a user in while it is cut off.

        :param is_first: whether nobody else is on the channel.
        """
        if not self.on_its_own or held.told or is_inbox(held.channel):
            return
        held.told = True
        if is_first:
            self.local.began(held.app, Occurrence(name="channel_occupied", channel=held.channel))
        self.local.began(held.app, _make("member_added", held.channel, held.member.user_id))

    def ended_here(self, held: Held, *, is_last: bool) -> None:
        """Learn that this node let a user go while it is cut off.

        :param is_last: whether nobody else is on the channel.
        """
        if not held.told:
            return
        self.local.ended(held.app, _make("member_removed", held.channel, held.member.user_id))
        if is_last:
            self.local.ended(held.app, Occurrence(name="channel_vacated", channel=held.channel))


def _make(name: str, channel: str, user_id: str) -> Occurrence:
    if user_id:
        return Occurrence(name=name, channel=channel, user_id=user_id)
    return Occurrence(name=name, channel=channel)
