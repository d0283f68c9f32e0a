"""The parties that NIF writes about, and what stands between them and NIF."""
