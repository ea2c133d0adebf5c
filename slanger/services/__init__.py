"""The parts that live: services over Twisted's clock, knowing nothing of sockets, HTTP or Redis.

=============  ============================================================
`registry`     joins, leaves, publishes; the only writer of channel state
`fanout`       one event to many subscribers
`subscribers`  one connected client each: its session, and what it asks for
`admission`    who may come in, and how much may be asked
`users`        who is signed in, and who watches whom
`counts`       how many are on a channel, told to those who are on it
`webhooks`     what apps are told: queued, retried, bounded
`posting`      the HTTP client under it
`metrics`      what is counted, written for Prometheus
`process`      what the kernel says of this process
`soketi`       the same under Soketi's names
`vitals`       how late the event loop is, and what else is amiss
`access`       who came, asked and went, to the log
`liveness`     who has been silent for too long
`strain`       memory that runs short: nobody more is let in
`memory`       memory given back after many have gone
`garbage`      garbage collection without long pauses
`turns`        what happens to many at once, taken up over several turns
`trace`        frames in and out to the log
`listening`    a port that is listened on
`readiness`    whether clients are to be sent here
`drain`        the end, step by step
`node`         what the broker says, passed to whom it concerns
=============  ============================================================
"""
