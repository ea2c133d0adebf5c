"""A session beside a model of it: whatever comes in whatever order, joins and leaves stay in step."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from slanger.protocol.effects import Effect, Join, Leave, Say, SignInUser, SignOutUser, Whisper
from slanger.protocol.errors import SubscriptionRefused
from slanger.protocol.session import Session, Standing
from tests.builders import SOCKET_ID, make_app, read, say, sign_in, subscribe, unsubscribe
from tests.strategies import PROPERTY, hostile_texts

USERS = {"news": None, "private-a": None, "presence-a": "7"}
CHANNELS = st.sampled_from(sorted(USERS))


class SessionBesideModel(RuleBasedStateMachine):
    """The world around a session keeps what it was asked for; the session must never lose or double it.

    `asked` are the joins under way, `on` the channels the client is on, both as the world sees them. It is `authorized`
    from the first of them on that is not public, or from the sign-in on.
    """

    @initialize()
    def begin(self) -> None:
        """Begin a connection."""
        self.session = Session(make_app(), SOCKET_ID)
        self.asked: set[str] = set()
        self.on: set[str] = set()
        self.now = 0.0
        self.user: str | None = None
        self.authorized = False

    def perform(self, effects: Iterable[Effect]) -> list[str]:
        """Carry out what the session asks; name what it says."""
        said = []
        for effect in effects:
            match effect:
                case Join(channel, member):
                    assert channel not in self.asked | self.on, "two joins without a leave between"
                    assert (member.user_id if member else None) == USERS[channel]
                    self.asked.add(channel)
                    self.authorized |= channel != "news"
                case Leave(channel, member):
                    assert channel in self.asked | self.on, "a leave without a join"
                    assert (member.user_id if member else None) == USERS[channel]
                    self.asked.discard(channel)
                    self.on.discard(channel)
                case Whisper(channel, _, _, user_id):
                    assert channel in self.on - {"news"}
                    assert user_id == USERS[channel]
                    said.append("whisper")
                case SignInUser(user):
                    assert self.user is None, "two sign-ins"
                    self.user = user.id
                    self.authorized = True
                case SignOutUser(user):
                    assert self.user == user.id
                    self.user = None
                case Say(message):
                    said.append(read(message)["event"])
        return said

    def receive(self, text: bytes) -> list[str]:
        """Let the client say something, a second after its last."""
        self.now += 1.0
        return self.perform(self.session.receive(text, self.now))

    @rule(channel=CHANNELS)
    def subscribe(self, channel: str) -> None:
        """A new channel is asked for, a known one refused."""
        known = channel in self.asked | self.on
        assert self.receive(subscribe(channel, USERS[channel])) == (["pusher:error"] if known else [])
        assert channel in self.asked | self.on

    @rule(channel=st.sampled_from(["private-a", "presence-a"]))
    def subscribe_wrongly(self, channel: str) -> None:
        """A wrong signature never changes anything."""
        before = self.asked | self.on
        said = self.receive(say("pusher:subscribe", {"channel": channel, "auth": "x:y"}))
        assert said[0] == "pusher:error"
        assert self.asked | self.on == before

    @rule(channel=CHANNELS)
    def unsubscribe(self, channel: str) -> None:
        """A known channel is left in silence, another answered."""
        known = channel in self.asked | self.on
        assert self.receive(unsubscribe(channel)) == ([] if known else ["pusher:error"])
        assert channel not in self.asked | self.on

    @rule(channel=CHANNELS)
    def joined(self, channel: str) -> None:
        """An answer is told when it was waited for; any other is not."""
        waited = channel in self.asked
        if waited:
            self.asked.remove(channel)
            self.on.add(channel)
        said = self.perform(self.session.joined(channel))
        assert said == (["pusher_internal:subscription_succeeded"] if waited else [])

    @rule(channel=CHANNELS)
    def refused(self, channel: str) -> None:
        """A refusal is told when an answer was waited for, and the channel may be asked for again."""
        waited = channel in self.asked
        self.asked.discard(channel)
        said = self.perform(self.session.refused(SubscriptionRefused(channel, "Full")))
        assert len(said) == (3 if waited else 0)

    @rule(channel=CHANNELS)
    def trigger(self, channel: str) -> None:
        """A client event passes from a channel the client is on."""
        allowed = channel in self.on - {"news"}
        assert self.receive(say("client-a", {}, channel=channel)) == ["whisper" if allowed else "pusher:error"]

    @rule(user_id=st.sampled_from(["7", "8"]))
    def sign_in(self, user_id: str) -> None:
        """The first user signs in, and again; any other is refused, whatever the channels are."""
        expected = "pusher:signin_success" if self.user in (None, user_id) else "pusher:error"
        before = self.user
        assert self.receive(sign_in(user_id)) == [expected]
        assert self.user == (before or user_id)

    @rule()
    def sign_in_wrongly(self) -> None:
        """A wrong signature signs nobody in or out."""
        before = self.user
        assert self.receive(say("pusher:signin", {"auth": "x:y", "user_data": '{"id":"7"}'})) == ["pusher:error"]
        assert self.user == before

    @rule(text=hostile_texts)
    def garbage(self, text: bytes) -> None:
        """Garbage changes nothing; a chance subscription to some other public channel is withdrawn."""
        for effect in self.session.receive(text, self.now):
            if isinstance(effect, Join):
                assert effect.member is None
                assert effect.channel not in USERS
                list(self.session.receive(unsubscribe(effect.channel), self.now))

    @rule()
    def gone(self) -> None:
        """The end leaves everything, once; the client comes back as new."""
        self.perform(self.session.gone())
        assert not self.asked | self.on, "a ghost"
        assert self.user is None, "signed in for ever"
        for channel in USERS:
            assert not list(self.session.joined(channel))
        self.session = Session(make_app(), SOCKET_ID)
        self.authorized = False

    @invariant()
    def agrees(self) -> None:
        """Session and world agree on every channel."""
        for channel in USERS:
            expected = Standing.ASKED if channel in self.asked else Standing.ON if channel in self.on else Standing.OFF
            assert self.session.standing(channel) is expected
        assert (self.session.user.id if self.session.user else None) == self.user
        assert self.session.authorized == self.authorized


class SessionBesideModelTest(SynchronousTestCase):
    """A session, and its model."""

    def test_anything(self) -> None:
        """Never a ghost, and never two joins without a leave between, in whatever order messages and answers come."""
        run_state_machine_as_test(SessionBesideModel, settings=PROPERTY)
