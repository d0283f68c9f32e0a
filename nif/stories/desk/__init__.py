"""What only those who write need of a story: finding it again, and every text they ever typed."""
