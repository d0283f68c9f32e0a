"""What machines ask and tell."""
