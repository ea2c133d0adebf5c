"""slanger: a self-hosted server for the Pusher Channels protocol.

The way in is `slanger.tap`, where `twistd slanger` puts the parts together; the way to understand it is
`slanger.interfaces`, the seams between them.

==============  ==========================================================================
`protocol`      the rules of the Pusher protocol: pure
`domain`        apps, channels, rosters: pure
`interfaces`    the seams: what the wings promise each other
`transports`    wing: WebSockets in and out, on Autobahn
`services`      wing: the channel registry, subscribers, liveness
`brokers`       wing: what ties this node to others
`api`           wing: the REST API, on twisted.web
`settings`      flags, environment and files, as one checked value
`certificates`  TLS certificates from files
`workers`       several processes on the same ports; `attendance` is what they say of themselves
`signals`       how the process is told to end
`systemd`       what systemd is told, and the sockets it has
`faults`        why the server does not start
`tap`           the twistd plugin's options and its service
==============  ==========================================================================
"""

__version__ = "0.1.0"
