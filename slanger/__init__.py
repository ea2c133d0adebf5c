"""slanger: a self-hosted server for the Pusher Channels protocol.

The way in is `slanger.tap`, which is `twistd slanger`; `slanger.assembly` puts the parts together. The way to
understand it is `slanger.interfaces`, the seams between them.

==============  ==========================================================================
`protocol`      the rules of the Pusher protocol: pure
`domain`        apps, channels, rosters: pure
`interfaces`    the seams: what the wings promise each other
`transports`    wing: WebSockets in and out, on Autobahn
`services`      wing: the channel registry, subscribers, liveness, limits, metrics, the end
`brokers`       wing: what ties this node to others
`api`           wing: the REST API, on twisted.web
`grace`         news of an end, held back
`deadlines`     timers of equal length for many
`complaints`    what clients can cause by the thousand, logged once in a while
`descriptors`   file descriptors that are kept free
`reasons`       why a connection to another server failed, in words
`tallies`       what is counted
`proxies`       whom to believe about the address of a client
`settings`      flags, environment and files, as one checked value
`certificates`  TLS certificates from files
`renewal`       the certificate, kept current
`workers`       several processes on the same ports; `attendance` is what they say of themselves
`logs`          how the log is written
`signals`       how the process is told to end
`hangup`        how it is told to read its settings again
`systemd`       what systemd is told, and the sockets it has
`reload`        new settings for a running process
`faults`        why the server does not start
`ports`         where a node listens
`assembly`      the parts of a node, put together
`tap`           `twistd slanger`: the options, and the process
==============  ==========================================================================
"""

__version__ = "0.1.0"
