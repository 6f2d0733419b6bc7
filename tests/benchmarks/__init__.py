"""Measurements whose tables stand in the README; `python -m tests.benchmarks` prints them."""
