"""WebSocket conformance: the Autobahn test suite, run against the transport, on each way that bytes may go.

``python -m tests.conformance`` fetches the suite, makes it run on Python 3, and judges; see `__main__`.

==========  ==========================================================================
`build`     fetches the suite into a cache folder, in an environment of its own
`port`      turns its Python 2 into Python 3; run in that environment
`client`    the suite's fuzzing client; run in that environment
`verdict`   what the suite says, and what of it is a failure
`table`     the page in the documentation
==========  ==========================================================================
"""
