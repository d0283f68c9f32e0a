"""Editions: one digest or newsletter each, from its slot to how it reads as mail."""
