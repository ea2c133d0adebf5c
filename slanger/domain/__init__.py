"""What the server knows, as pure structures: the protocol and the standard library, nothing else.

==========  ==========================================================
`apps`      an app with its switches and limits; the directory of apps
`channels`  who is on which channel, with the first-in, last-out edges
`presence`  rosters: users, and what holds each of them there
`users`     who signed in, and who watches whom
`cache`     the last event of each cache channel
`webhooks`  what an app is told, and where
`limits`    what a node bears, whatever its apps
`origins`   from which web pages clients may come
`rates`     so many per second
==========  ==========================================================
"""
