"""Where editors write and publish."""
