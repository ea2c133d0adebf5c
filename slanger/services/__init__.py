"""The parts that live: services over Twisted's clock, knowing nothing of sockets, HTTP or Redis.

=============  ============================================================
`registry`     joins, leaves, publishes; the only writer of channel state
`fanout`       one event to many subscribers
`subscribers`  one connected client each: its session, and what it asks for
`liveness`     who has been silent for too long
=============  ============================================================
"""
