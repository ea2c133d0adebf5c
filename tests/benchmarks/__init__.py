"""Benchmarks: what a server of the Pusher protocol costs for each unit of work, and how long clients wait.

::

    python -m tests.benchmarks                               slanger, started here
    python -m tests.benchmarks --server ws://HOST:PORT ...   any other server
    python -m tests.benchmarks --beside name=...,ws=...      both, in turn

A benchmark is no test: it prints figures and asserts none. The rooms, from the outside in:

* `__main__` reads the command line (`options`), has the turns taken (`sitting`) and what came out written (`report`,
  `plot`, with what `machine` tells);
* `targets` starts servers, or knows where they are; `processes` reads what they use from /proc;
* `workloads` is the table of what is measured, on a server under `load`; `stream` publishes, and follows what becomes
  of it; `probe` waits for answers meanwhile;
* `subscribers` in a `crowd` and `publishers` are the two kinds of clients, on one `loop`; `frames` and `requests` are
  what they say;
* `figures` is what is measured, and what many runs of it make.
"""
