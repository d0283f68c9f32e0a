"""Messages, and posting them to a mail provider."""
