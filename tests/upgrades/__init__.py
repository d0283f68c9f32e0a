"""Filled databases of every schema that has been on main, each upgraded to the newest one."""
