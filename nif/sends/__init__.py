"""An edition going to a list: never twice to anyone, nobody skipped, always explained."""
