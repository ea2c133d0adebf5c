"""One event to many subscribers."""

from __future__ import annotations

from collections.abc import Mapping

from slanger.interfaces import ISubscriber
from slanger.protocol.messages import Message


def fan_out(message: Message, subscribers: Mapping[str, ISubscriber], exclude: str | None = None) -> int:
    """Send one message to each subscriber, save the one with the excluded socket id; give their number.

    Nothing is encoded, logged or scheduled per recipient: the message is finished, and each wire keeps what it is
    given until the reactor turn ends, so no subscriber can come or go while this runs.
    """
    if exclude is not None and exclude in subscribers:
        for socket_id, subscriber in subscribers.items():
            if socket_id != exclude:
                subscriber.send(message)
        return len(subscribers) - 1
    for subscriber in subscribers.values():
        subscriber.send(message)
    return len(subscribers)
