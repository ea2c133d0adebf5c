"""The parts that live: services over Twisted's clock, knowing nothing of sockets, HTTP or Redis.

=============  ============================================================
`registry`     joins, leaves, publishes; the only writer of channel state
`fanout`       one event to many subscribers
`subscribers`  one connected client each: its session, and what it asks for
`users`        who is signed in, and who watches whom
`counts`       how many are on a channel, told to those who are on it
`webhooks`     what apps are told: queued, retried, bounded
`posting`      the HTTP client under it
`metrics`      what is counted, written for Prometheus
`process`      what the kernel says of this process
`soketi`       the same under Soketi's names
`vitals`       how late the event loop is, and what else is amiss
`access`       who came, asked and went, to the log
`grace`        news of an end, held back
`liveness`     who has been silent for too long
`memory`       memory given back after many have gone
`trace`        frames in and out to the log
`listening`    a port that is listened on
`readiness`    whether clients are to be sent here
`drain`        the end, step by step
`node`         what the broker says, passed to whom it concerns
=============  ============================================================
"""
