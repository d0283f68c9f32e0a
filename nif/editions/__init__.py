"""Editions of a list's newsletter, from the slot to the message."""
