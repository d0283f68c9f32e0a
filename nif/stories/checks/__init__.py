"""The checks that a story has to pass before it is published."""
