"""The forms of payloads: a payload says which form it was written in, and is recomputed by it.

A record that gains a field gains a form. Older entries are still recomputed by their own form,
without the new field, so a change of the software never looks like a change of the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

FORM = "form"
"""The key under which a payload names its form, a number from 1 on."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class UnknownForm:
    """The form of a payload that this version of NIF has no rule for."""

    form: object


class PayloadForms(Generic[Record]):
    """The rules that turn one kind of record into a payload, by the number of the form.

    The newest form writes new entries. A rule by which entries were written never changes: a
    field is added, renamed or left out by adding a form.
    """

    def __init__(self, rules: Mapping[int, Callable[[Record], Mapping[str, Any]]]) -> None:
        self._rules = rules
        self._newest = max(rules)

    def write(self, record: Record) -> dict[str, Any]:
        """The payload of a new entry about `record`."""
        return self._apply(self._newest, record)

    def recompute(
        self, record: Record, recorded: Mapping[str, Any] | None
    ) -> dict[str, Any] | UnknownForm:
        """What `record` says today, in the form of the payload that was recorded.

        The newest form serves where the payload was deleted: such an entry is not compared.
        """
        if recorded is None:
            return self.write(record)
        form = recorded.get(FORM) if isinstance(recorded, Mapping) else None
        # JSON's true equals 1, and is no form.
        if type(form) is not int or form not in self._rules:
            return UnknownForm(form)
        return self._apply(form, record)

    def _apply(self, form: int, record: Record) -> dict[str, Any]:
        return {FORM: form, **self._rules[form](record)}
