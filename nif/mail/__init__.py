"""One message, and handing messages to a provider."""
