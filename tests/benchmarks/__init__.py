"""Measurements whose tables are in `docs/`; `python -m tests.benchmarks` prints them."""
