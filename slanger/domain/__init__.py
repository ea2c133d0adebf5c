"""What the server knows, as pure structures: the protocol and the standard library, nothing else.

==========  ==========================================================
`apps`      an app with its switches and limits; the directory of apps
`channels`  who is on which channel, with the first-in, last-out edges
`presence`  rosters: users, and what holds each of them there
==========  ==========================================================
"""
