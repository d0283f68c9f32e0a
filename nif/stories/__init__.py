"""What the newsroom publishes: drafting, disclosing, publishing, reading."""
