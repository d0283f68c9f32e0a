"""Mailing lists, their subscribers, consents and suppressions."""
