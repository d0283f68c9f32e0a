"""Proofs: promises of NIF tried out in numbers, briefly in the suite and at length on demand."""
