"""Pictures: uploads, the library, and the files that are made of them."""
