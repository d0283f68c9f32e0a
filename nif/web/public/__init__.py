"""The readers' site."""
