"""The privacy rights of readers: what is stored of them, its export, erasure and retention."""
