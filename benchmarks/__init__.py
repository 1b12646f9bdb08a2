"""Benchmarks, run by `make bench`: each figure is measured together with its baseline."""
