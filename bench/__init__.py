"""What is measured of NIF, and how to measure it again."""
