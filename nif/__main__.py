"""`python -m nif`: the same as the command `nif`."""

from nif.cli.main import main

main()
