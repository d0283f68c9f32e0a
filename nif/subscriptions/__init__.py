"""Mailing lists, and the people who asked to be on them."""
