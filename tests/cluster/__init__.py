"""Many nodes: real `twistd` processes on a real `redis-server`, with official clients on different nodes.

===========  =======================================================
`redis`      Redis servers and Sentinels, on free ports
`proxy`      the way to Redis, which can be cut in several ways; the way from clients to nodes
`nodes`      nodes that share a Redis
`tenants`    the apps of their settings file
`listener`   a client that keeps all it hears, for bookkeeping
`publisher`  a back end that publishes steadily, and what is heard of it
`model`      what rosters should be
`crowd`      many clients that come back as pusher-js does
`moving`     a node's clients sent to another node, and what that looks like
`case`       test cases with clients on nodes of their choice
===========  =======================================================
"""
