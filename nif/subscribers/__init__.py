"""Finding subscribers among a million, saved segments of them, and the whole story of each."""
