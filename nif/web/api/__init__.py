"""Views for machines: health checks and the provider's webhook."""
