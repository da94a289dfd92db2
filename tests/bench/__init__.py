"""Benchmarks against what people use today: `make bench`, or `python -m tests.bench [part of a module's name]`.

Each module bench_*.py here has `run() -> list[Row]`; a new one is found by its name. Peer and ours are measured in
the same run, on the same servers.
"""
