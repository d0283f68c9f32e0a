"""The web's doors: readers, newsroom, admin desk, machines."""
