"""The demo newsroom: one real story, a dozen plainly fictional ones, and two lists."""
