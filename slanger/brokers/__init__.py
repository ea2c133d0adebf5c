"""What ties a node to its peers: one room per way to do it, all behind `slanger.interfaces.IBroker`.

=============  ======================================================
`alone`        no peers: the node is the whole cluster
`redis`        many nodes, tied together by Redis
`occurrences`  what a node that is on its own tells the app
`misses`       cache channels that were found empty
=============  ======================================================
"""
