"""Searching subscribers, segments, profiles, manual suppressions and inactive subscribers."""
