"""Every test of the WebSocket transport once more, over connections that Autobahn reads."""

from __future__ import annotations

from tests.transports import test_floods, test_handshake, test_messages, test_outbox, test_shared
from tests.transports.ways import LONG_FROM_THE_HANDSHAKE, LONG_FROM_THE_START


class HandshakeTests(test_handshake.HandshakeTests):
    """What a client is let in with, by Autobahn."""

    first_way = LONG_FROM_THE_START


class PlainHttpTests(test_handshake.PlainHttpTests):
    """What is no handshake, to Autobahn."""

    first_way = LONG_FROM_THE_START


class ReceivingTests(test_messages.ReceivingTests):
    """What comes from a client, read by Autobahn."""

    first_way = LONG_FROM_THE_START


class FaultTests(test_messages.FaultTests):
    """Exceptions of ours, on connections that Autobahn reads."""

    first_way = LONG_FROM_THE_START


class SendingTests(test_messages.SendingTests):
    """What goes to a client that Autobahn reads."""

    first_way = LONG_FROM_THE_START


class OrderTests(test_messages.OrderTests):
    """The close frame is the last of all, also where Autobahn sends it."""

    first_way = LONG_FROM_THE_START


class SlowReaderTests(test_outbox.SlowReaderTests):
    """A slow reader among others, all read by Autobahn."""

    first_way = LONG_FROM_THE_START


class FloodTests(test_floods.FloodTests):
    """Clients that send too fast, read by Autobahn."""

    first_way = LONG_FROM_THE_START


class BacklogTests(test_floods.TotalBacklogTests):
    """Many slow readers, read by Autobahn."""

    first_way = LONG_FROM_THE_START


class OriginTests(test_floods.OriginTests):
    """Origins, as Autobahn reads them."""

    first_way = LONG_FROM_THE_START


class HandedOverFloodTests(test_floods.FloodTests):
    """Clients that send too fast, handed to Autobahn."""

    first_way = LONG_FROM_THE_HANDSHAKE


class OnePortTests(test_shared.BothTests):
    """The real two on one port, the WebSocket read by Autobahn."""

    first_way = LONG_FROM_THE_START


class HandedOverReceivingTests(test_messages.ReceivingTests):
    """What comes from a client, read by Autobahn from the first frame on."""

    first_way = LONG_FROM_THE_HANDSHAKE


class HandedOverFaultTests(test_messages.FaultTests):
    """Exceptions of ours, on connections that were handed to Autobahn."""

    first_way = LONG_FROM_THE_HANDSHAKE


class HandedOverSendingTests(test_messages.SendingTests):
    """What goes to a client that was handed to Autobahn."""

    first_way = LONG_FROM_THE_HANDSHAKE


class HandedOverOrderTests(test_messages.OrderTests):
    """The close frame is the last of all, also on connections that were handed to Autobahn."""

    first_way = LONG_FROM_THE_HANDSHAKE


class HandedOverSlowReaderTests(test_outbox.SlowReaderTests):
    """A slow reader among others, all handed to Autobahn."""

    first_way = LONG_FROM_THE_HANDSHAKE
