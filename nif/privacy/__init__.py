"""What readers may ask of the house: to see all it knows of them, and to be forgotten."""
