"""A real process under abuse, while well-behaved official clients keep receiving.

``python -m tests.abuse`` does it for two minutes, prints figures, and ends with 1 where an event was lost or anything
is left behind; see `__main__`. The ordinary tests do it for ten seconds (`test_abuse`).

==============  ==========================================================================
`abuser`        a hostile client: sockets, and bytes on them
`kinds`         what it does, one kind of abuse each
`bystanders`    the well-behaved: official clients, and the app that sends them events
`footprint`     what the process holds: memory and file descriptors
`scene`         all of them together, and what came of it
==============  ==========================================================================
"""
