"""What the protocol must know of an app: its credentials, switches and limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from slanger.protocol import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One app's rules for its clients.

    :param key: public; clients name it in their URL, server SDKs in `auth_key`.
    :param secret: signs everything; never shown, not even in a repr.
    :param client_events: whether subscribers may send events to each other.
    :param watchlists: whether users learn who of their watchlist is online.
    :param subscription_counts: whether subscribers learn how many they are.
    :param subscription_errors: whether a refused subscription is also told to the channel's listeners.
    :param internal_subscription_errors: the same in the form that the .NET client reads.

    The limits are those of `slanger.protocol.names`, which gives their units and sources.
    """

    key: str
    secret: str = field(repr=False)
    client_events: bool = True
    watchlists: bool = True
    subscription_counts: bool = False
    subscription_errors: bool = True
    internal_subscription_errors: bool = True
    connection_channels: int = names.CONNECTION_CHANNELS
    channel_name_length: int = names.CHANNEL_NAME_LENGTH
    event_name_length: int = names.EVENT_NAME_LENGTH
    event_data_bytes: int = names.EVENT_DATA_BYTES
    event_channels: int = names.EVENT_CHANNELS
    client_events_per_second: int = names.CLIENT_EVENTS_PER_SECOND
    presence_members: int = names.PRESENCE_MEMBERS
    presence_member_bytes: int = names.PRESENCE_MEMBER_BYTES
    user_id_length: int = names.USER_ID_LENGTH
    batch_events: int = names.BATCH_EVENTS
    watchlist_users: int = names.WATCHLIST_USERS
