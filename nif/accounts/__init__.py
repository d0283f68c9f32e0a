"""Accounts of the staff, their roles, and the audit log."""
