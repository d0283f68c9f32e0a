"""What is to be measured, as the environment of the command says."""

from collections.abc import Mapping
from dataclasses import dataclass

DATABASES = ("sqlite", "postgresql")
SIZES = "10000,100000"
LARGE_SIZES = "100000,1000000"
ROUNDS = "3"


class Wrong(Exception):
    """The bench cannot be trusted, or was asked for something that there is not: it ends."""


@dataclass(frozen=True)
class Choices:
    """`sizes` are the recipients of sends, `rounds` how often a thing is done for its median."""

    databases: tuple[str, ...]
    sizes: tuple[int, ...]
    rounds: int
    as_json: bool
    seconds: int = 600


def choices_of(environment: Mapping[str, str], sizes: str = SIZES) -> Choices:
    """Read SIZE (numbers, joined by commas), DATABASE, ROUNDS, SECONDS and JSON. Raises Wrong."""
    database = environment.get("DATABASE", "")
    if database and database not in DATABASES:
        raise Wrong(f"DATABASE is {database}; it must be sqlite or postgresql.")
    chosen = (environment.get("SIZE") or sizes).split(",")
    return Choices(
        databases=(database,) if database else DATABASES,
        sizes=tuple(_number("SIZE", size) for size in chosen),
        rounds=_number("ROUNDS", environment.get("ROUNDS") or ROUNDS),
        as_json=environment.get("JSON", "") not in {"", "0"},
        seconds=_number("SECONDS", environment.get("SECONDS") or "600"),
    )


def _number(name: str, given: str) -> int:
    if not given.strip().isdecimal() or int(given) < 1:
        raise Wrong(f"{name} is {given}; it must be a number from 1 on.")
    return int(given)
