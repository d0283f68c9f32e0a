"""Importing subscribers from CSV files, with a dry run first and undo afterwards."""
