"""The Pusher Channels protocol as pure rules: no clock, no entropy, no I/O, no Twisted.

=================  =====================================================================
`errors`           what can go wrong, as values and exceptions, with what clients do next
`names`            channel kinds, the grammar of names, the protocol's limits
`messages`         what a client may say, what the server says
`codec`            JSON text to messages and back; the only place that double-encodes
`signing`          every HMAC of the protocol, compared in constant time
`rules`            what the protocol must know of an app
`effects`          what a session asks for
`session`          one client's state machine: a message in, effects out
=================  =====================================================================
"""
