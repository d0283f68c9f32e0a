"""Pictures: receiving them, cleaning them, cutting them to shape, keeping and showing them."""
