"""The broker of many nodes.

===============  =======================================================
`address`        where Redis is
`endpoints`      ways to it: TCP, TLS, a socket, the sentinels' master
`links`          the two links: one commands, one listens
`root`           names of keys and topics
`scripts`, lua/  each change of what is shared, in one step
`envelope`       what travels between nodes
`outbound`       what this node publishes, until Redis has taken it
`heard`          how far a channel has been heard
`interest`       what this node listens to, in order and without a gap
`holdings`       what this node holds, and Redis holds for it
`presence`       who is present
`occurrences`    what the app is told, once for the cluster
`lease`          who is alive
`queries`        what the cluster is asked for
`broker`         all of it together, behind `IBroker`
===============  =======================================================

Nothing here imports txredisapi but `links` and `endpoints`.
"""
