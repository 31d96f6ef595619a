"""Benchmarks: `python -m experiments.bench` runs every topic and writes experiments/BENCHMARKS.md."""
