"""Readers brought in from files, judged before anything happens, and taken out again."""
