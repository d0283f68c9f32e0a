"""`nif …`: commands for operators."""
