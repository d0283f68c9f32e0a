"""The options of a benchmark, read from the environment of the command."""

from collections.abc import Mapping
from dataclasses import dataclass

DATABASES = ("sqlite", "postgresql")
SIZES = "10000,100000"
LARGE_SIZES = "100000,1000000"
ROUNDS = "3"


class BenchFailed(Exception):
    """The benchmark cannot be trusted, or an option is invalid; it ends without figures."""


@dataclass(frozen=True)
class Options:
    """`sizes` are recipients or rows; `rounds` is how often a measurement is repeated."""

    databases: tuple[str, ...]
    sizes: tuple[int, ...]
    rounds: int
    as_json: bool
    seconds: int = 600


def read_options(environment: Mapping[str, str], sizes: str = SIZES) -> Options:
    """Read SIZE (comma-separated), DATABASE, ROUNDS, SECONDS and JSON. Raises BenchFailed."""
    database = environment.get("DATABASE", "")
    if database and database not in DATABASES:
        raise BenchFailed(f"DATABASE is {database}; it must be sqlite or postgresql.")
    chosen = (environment.get("SIZE") or sizes).split(",")
    return Options(
        databases=(database,) if database else DATABASES,
        sizes=tuple(_parse_number("SIZE", size) for size in chosen),
        rounds=_parse_number("ROUNDS", environment.get("ROUNDS") or ROUNDS),
        as_json=environment.get("JSON", "") not in {"", "0"},
        seconds=_parse_number("SECONDS", environment.get("SECONDS") or "600"),
    )


def _parse_number(name: str, value: str) -> int:
    if not value.strip().isdecimal() or int(value) < 1:
        raise BenchFailed(f"{name} is {value}; it must be a whole number of at least 1.")
    return int(value)
