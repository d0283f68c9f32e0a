"""The installation of the journeys by its former name, for tests/prove."""

from tests.journeys.installation import Installation as House

__all__ = ["House"]
