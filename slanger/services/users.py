"""Users who signed in: their inboxes' owners, the watched and the watching.

That a user is online is decided like presence: his connections are holders on the roster of his inbox channel, and the
broker tells every node of the first and the last ("Watchlist events").
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from slanger.domain.apps import App
from slanger.domain.channels import Counts
from slanger.domain.users import SignedInUsers
from slanger.grace import Grace
from slanger.interfaces import IBroker, ISubscriber, IUsers
from slanger.protocol import codec
from slanger.protocol.errors import CONNECTION_UNAUTHORIZED, SHUTTING_DOWN
from slanger.protocol.messages import Member, User
from slanger.protocol.names import GRACE, INBOX_PREFIX
from slanger.services.fanout import fan_out


@implementer(IUsers)
class Users(Service):
    """Who is signed in on this node, and who watches whom.

    :param broker: decides for the cluster who is online.
    """

    name = "users"
    _log = Logger()

    def __init__(self, broker: IBroker, clock: IReactorTime) -> None:
        self._broker = broker
        self._grace = Grace(clock, GRACE)
        self._tables: dict[str, SignedInUsers[ISubscriber]] = {}

    def stopService(self) -> None:
        """Announce nothing more."""
        super().stopService()
        self._grace.stop()

    def sign_in(self, subscriber: ISubscriber, user: User) -> None:
        """Count a connection among its user's; tell it who of his watchlist is online."""
        app = subscriber.app
        entering = self._broker.enter(app, INBOX_PREFIX + user.id, Member(user.id), subscriber.socket_id)
        entering.addErrback(lambda failure: self._log.failure("signing {user} in failed", failure, user=user.id))
        for watched in self._table(app).add(user, subscriber.socket_id, subscriber):
            self._broker.watch(app, INBOX_PREFIX + watched)
        if user.watchlist:
            inboxes = [INBOX_PREFIX + watched for watched in user.watchlist]
            showing = self._broker.counts(app, inboxes).addCallback(self._show_watchlist, subscriber, user)
            showing.addErrback(lambda failure: self._log.failure("showing a watchlist failed", failure))

    def sign_out(self, subscriber: ISubscriber, user: User) -> None:
        """Count a connection no more."""
        app = subscriber.app
        for unwatched in self._table(app).remove(user, subscriber.socket_id):
            self._broker.unwatch(app, INBOX_PREFIX + unwatched)
        self._broker.leave(app, INBOX_PREFIX + user.id, user.id, subscriber.socket_id)

    def terminate(self, app: App, user_id: str) -> None:
        """Close all connections, everywhere, that signed in as this user."""
        self.close_here(app, user_id)
        self._broker.terminate(app, user_id)

    def close_here(self, app: App, user_id: str) -> None:
        """Close this node's connections that signed in as this user."""
        code = SHUTTING_DOWN if app.termination_code == SHUTTING_DOWN.number else CONNECTION_UNAUTHORIZED
        for subscriber in tuple(self._table(app).connections(user_id).values()):
            subscriber.close(code, "You got disconnected by the app.")

    def came(self, app: App, user_id: str) -> None:
        """Tell watchers on this node that a user is online, unless he was hardly away."""
        if not self._grace.back((app.key, user_id)):
            fan_out(codec.watchlist(online=[user_id]), self._table(app).watchers(user_id))

    def went(self, app: App, user_id: str) -> None:
        """Tell watchers on this node that a user is offline, if he stays away."""
        self._grace.gone(
            (app.key, user_id),
            lambda: self._tell_offline(app, user_id),
        )

    def _tell_offline(self, app: App, user_id: str) -> None:
        fan_out(codec.watchlist(offline=[user_id]), self._table(app).watchers(user_id))

    def _table(self, app: App) -> SignedInUsers[ISubscriber]:
        table = self._tables.get(app.key)
        if table is None:
            table = self._tables[app.key] = SignedInUsers()
        return table

    def _show_watchlist(self, counts: Mapping[str, Counts], subscriber: ISubscriber, user: User) -> None:
        """Send the first picture. Who is hardly away counts as online, as his return will not be told."""
        groups: dict[bool, list[str]] = {True: [], False: []}
        for watched in user.watchlist:
            held_back = (subscriber.app.key, watched) in self._grace
            groups[held_back or bool(counts[INBOX_PREFIX + watched].users)].append(watched)
        subscriber.send(codec.watchlist(groups[True], groups[False]))
