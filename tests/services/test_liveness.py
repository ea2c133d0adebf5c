"""Who is pinged, and who is taken for dead."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slanger.services.liveness import LEEWAY, Liveness

ACTIVITY_TIMEOUT = 120
PONG_TIMEOUT = 30
PATIENCE = ACTIVITY_TIMEOUT + LEEWAY


class Patient:
    """A connection that keeps what was done to it; `looks` counts how often its last sign of life was read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at = clock.seconds()
        self.looks = 0
        self.done: list[tuple[str, float]] = []
        self.answers = False

    @property
    def heard_at(self) -> float:
        """When it last showed a sign of life."""
        self.looks += 1
        return self._heard_at

    @heard_at.setter
    def heard_at(self, when: float) -> None:
        self._heard_at = when

    def ping(self) -> None:
        """Be pinged."""
        self.done.append(("ping", self._clock.seconds()))

    def silent(self) -> None:
        """Be taken for dead."""
        self.done.append(("silent", self._clock.seconds()))

    @property
    def names(self) -> list[str]:
        """What was done, in order."""
        return [what for what, _ in self.done]


class LivenessTest(SynchronousTestCase):
    """Liveness: dead peers are found with control-frame pings."""

    def setUp(self) -> None:
        """Watch nobody, from a second that is not whole."""
        self.clock = Clock()
        self.clock.advance(1000.4)
        self.liveness = Liveness(self.clock, ACTIVITY_TIMEOUT, PONG_TIMEOUT)
        self.liveness.startService()

    def tearDown(self) -> None:
        """Stop; nothing is left to be called."""
        self.liveness.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def watched(self) -> Patient:
        """Watch a connection."""
        patient = Patient(self.clock)
        self.liveness.watch(patient)
        return patient

    def pass_time(self, seconds: float) -> None:
        """Let time pass, a quarter of a second at once."""
        self.clock.pump([0.25] * int(seconds * 4))

    def until_pinged(self, patient: Patient, times: int) -> None:
        """Let time pass until a connection was pinged that often, but not for ever."""
        for _ in range(2 * PATIENCE):
            if len(patient.done) < times:
                self.pass_time(1)
        self.assertEqual(patient.names, ["ping"] * times)

    def test_fault(self) -> None:
        """One bad client: where pinging one fails it is logged, and the others are pinged and ended as ever."""
        faulty, silent = self.watched(), self.watched()
        self.patch(faulty, "ping", lambda: 1 / 0)
        self.pass_time(PATIENCE + PONG_TIMEOUT + 3)
        self.assertEqual(silent.names, ["ping", "silent"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_patience(self) -> None:
        """Liveness: nothing happens before the activity timeout and the grace are over; then it is pinged, once."""
        patient = self.watched()
        self.pass_time(PATIENCE - 0.25)
        self.assertEqual(patient.done, [])
        self.pass_time(2.25)
        self.assertEqual(patient.names, ["ping"])

    def test_silence(self) -> None:
        """Liveness: who does not answer within the pong timeout is taken for dead, once, and not sooner."""
        patient = self.watched()
        self.pass_time(PATIENCE + PONG_TIMEOUT - 0.25)
        self.assertEqual(patient.names, ["ping"])
        self.pass_time(4)
        self.assertEqual(patient.names, ["ping", "silent"])
        self.assertGreaterEqual(patient.done[1][1] - patient.done[0][1], PONG_TIMEOUT)
        self.pass_time(3 * PATIENCE)
        self.assertEqual(patient.names, ["ping", "silent"])

    def test_life_before(self) -> None:
        """Liveness: any sign of life puts the ping off."""
        patient = self.watched()
        for _ in range(10):
            self.pass_time(PATIENCE - 5)
            patient.heard_at = self.clock.seconds()
        self.assertEqual(patient.done, [])
        self.pass_time(PATIENCE + 2)
        self.assertEqual(patient.names, ["ping"])

    def test_life_at_any_time(self) -> None:
        """Liveness: whenever it was heard last, it is pinged within two seconds after its patience, and no sooner."""
        heard_at: dict[Patient, float] = {}
        patients = [self.watched() for _ in range(40)]
        for patient in patients:
            self.clock.advance(0.25)
            patient.heard_at = heard_at[patient] = self.clock.seconds()
        self.pass_time(PATIENCE + 2)
        for patient in patients:
            [(what, when)] = patient.done
            self.assertEqual(what, "ping")
            self.assertTrue(PATIENCE <= when - heard_at[patient] <= PATIENCE + 2, when - heard_at[patient])

    def test_life_after_ping(self) -> None:
        """Liveness: an answer to the ping saves it, every time."""
        patient = self.watched()
        for number in range(1, 4):
            self.until_pinged(patient, number)
            self.pass_time(PONG_TIMEOUT - 1)
            patient.heard_at = self.clock.seconds()
        self.pass_time(10)
        self.assertEqual(patient.names, ["ping", "ping", "ping"])

    def test_short_timeout(self) -> None:
        """Liveness: with an activity timeout shorter than the pong timeout an answer saves it just as well."""
        self.liveness.stopService()
        self.liveness = Liveness(self.clock, 1, PONG_TIMEOUT)
        self.liveness.startService()
        patient = self.watched()
        for number in range(1, 4):
            self.until_pinged(patient, number)
            self.pass_time(1)
            patient.heard_at = self.clock.seconds()
        self.assertEqual(patient.names, ["ping", "ping", "ping"])
        self.pass_time(3 * PONG_TIMEOUT)
        self.assertEqual(patient.names, ["ping", "ping", "ping", "ping", "silent"])

    def test_forget(self) -> None:
        """Liveness: who is forgotten, before or after a ping, is left in peace; forgetting twice is harmless."""
        before, after = self.watched(), self.watched()
        self.liveness.forget(before)
        self.pass_time(PATIENCE + 2)
        self.liveness.forget(after)
        self.pass_time(3 * PATIENCE)
        self.liveness.forget(after)
        self.liveness.forget(Patient(self.clock))
        self.assertEqual((before.names, after.names), ([], ["ping"]))

    def test_forgotten_by_another(self) -> None:
        """Liveness: one that is forgotten while another of the same second is looked at harms nobody."""
        patients = [self.watched() for _ in range(3)]
        later = [self.watched()]

        def take_along() -> None:
            for patient in patients:
                self.liveness.forget(patient)

        for patient in patients:
            patient.ping = take_along  # type: ignore[method-assign]
        self.pass_time(PATIENCE + 2)
        self.assertEqual(later[0].names, ["ping"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_forget_in_silence(self) -> None:
        """Liveness: a connection that ends at once when it is taken for dead forgets itself, harmlessly."""
        patient = self.watched()
        other = self.watched()
        patient.silent = lambda: self.liveness.forget(patient)  # type: ignore[method-assign]
        self.pass_time(PATIENCE + PONG_TIMEOUT + 4)
        self.assertEqual(other.names, ["ping", "silent"])

    def test_work(self) -> None:
        """Bounded work: a busy connection is looked at about once per period, however often it is heard."""
        patients = [self.watched() for _ in range(20)]
        seen = [patient.looks for patient in patients]
        for _ in range(PATIENCE * 10):
            for patient in patients:
                patient.heard_at = self.clock.seconds()
            self.clock.advance(1)
        for patient, before in zip(patients, seen, strict=True):
            self.assertLessEqual(patient.looks - before, 3 * 11)
            self.assertEqual(patient.done, [])

    def test_no_timers(self) -> None:
        """Bounded work: there is one timer, however many connections there are."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        patients = [self.watched() for _ in range(100)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.pass_time(PATIENCE + 2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual({patient.names[0] for patient in patients}, {"ping"})

    def test_nothing_left(self) -> None:
        """Bounded: connections that came and went, before a ping or after it, leave nothing behind."""
        for patient in [self.watched() for _ in range(100)]:
            self.liveness.forget(patient)
        self.assertEqual((self.liveness._slots, self.liveness._slot_of), ({}, {}))
        pinged = [self.watched() for _ in range(100)]
        self.pass_time(PATIENCE + 2)
        for patient in pinged:
            self.liveness.forget(patient)
        self.pass_time(PONG_TIMEOUT + 2)
        self.assertEqual((self.liveness._slots, self.liveness._slot_of, self.liveness._pinged), ({}, {}, {}))

    def test_stalled_clock(self) -> None:
        """Liveness: a process that was stopped for a long while looks at everybody when it goes on."""
        patients = [self.watched() for _ in range(3)]
        self.clock.advance(10_000)
        self.assertEqual([patient.names for patient in patients], [["ping"]] * 3)

    def test_watched_before_start(self) -> None:
        """Liveness: who is watched before the service starts is looked at too; none is after it stops."""
        liveness = Liveness(self.clock, ACTIVITY_TIMEOUT, PONG_TIMEOUT)
        patient = Patient(self.clock)
        liveness.watch(patient)
        liveness.startService()
        self.pass_time(PATIENCE + 2)
        self.assertEqual(patient.names, ["ping"])
        liveness.stopService()
        self.pass_time(PATIENCE)
        self.assertEqual(patient.names, ["ping"])
