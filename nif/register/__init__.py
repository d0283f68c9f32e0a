"""The parties that NIF writes about, and their relationships with NIF."""
