"""Proofs: promises of NIF, tested with random and exhaustive failures.

A short form of each runs in the suite, the long form by `make prove`.
"""
