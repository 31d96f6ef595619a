"""Benchmarks: `python -m bench` runs every topic and writes experiments/BENCHMARKS.md."""
