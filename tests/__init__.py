"""The tests, in the order of the house; `process` and `sdk` drive real servers, with real clients."""
