"""Benchmarks of NIF: what is measured, and how to measure it again."""
