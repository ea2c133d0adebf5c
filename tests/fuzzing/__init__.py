"""Fuzzing: what reads bytes of others is given any, a million times, by a fuzzer that watches which code they reach.

``python -m tests.fuzzing`` does it on demand (with the extra ``fuzz`` installed: Atheris); see `__main__`. The ordinary
tests give each target some hundred inputs of Hypothesis (`test_targets`).

============  ============================================================================
`targets`     what is fuzzed, and what must hold whatever the bytes are
`inputs`      what the fuzzer begins with: valid inputs, and words to build others of
`mutation`    changes valid inputs into nearly valid ones
`worker`      one process with Atheris
`report`      the page in the documentation
`schema`      random requests after the OpenAPI description, to a real process
============  ============================================================================
"""
