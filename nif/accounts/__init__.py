"""Editors and admins: who they are and what they may do."""
