"""The SDK scorecard: official clients and server SDKs, at the oldest version that we claim and at the newest.

``python -m tests.sdk.scorecard`` runs the tests of `tests.sdk` with each version in place of the newest, and writes the
table in the documentation. There are no tests of its own, so that the two cannot tell different stories.
"""
