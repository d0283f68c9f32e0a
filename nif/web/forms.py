"""Forms, all of them on WTForms: the base class, and fields as NIF's forms need them.

A field's text is cleaned and its length checked before anything else looks at it. Sentences about
problems are written for the person who fills in the form. Templates show fields by the macros of
`templates/parts/forms.html`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import wtforms
from flask import request
from wtforms.validators import ValidationError

from nif.editions.schedule import resolve_local_time
from nif.errors import Conflict, Invalid, NifError
from nif.mail.addresses import MAX_ADDRESS_LENGTH, EmailAddress, parse_address
from nif.web.current import settings

CHOOSE_ONE = "Choose one of these."


class Form(wtforms.Form):
    """A form. `conflict` says why a valid form was refused, for example that somebody else was
    faster; it is empty otherwise."""

    conflict: str = ""

    @property
    def problems(self) -> dict[str, str]:
        """The first problem of each field, by its name; of the whole form, under `form`."""
        return {name or "form": _first(found) for name, found in self.errors.items()}

    @property
    def query(self) -> dict[str, str]:
        """What was given to a search form, as the query of an address."""
        typed = {field.name: (field.raw_data or [""])[0] for field in self}
        return {name: value for name, value in typed.items() if value}

    def check(self) -> None:
        """Raises Invalid, with the problems of all fields."""
        if not self.validate():
            raise Invalid(self.problems)

    def refuse(self, error: NifError) -> None:
        """Show an error that a rule raised: beside its fields, or above the form."""
        if isinstance(error, Conflict):
            self.conflict = str(error)
            return
        known = self.problems
        problems = error.problems if isinstance(error, Invalid) else {"form": str(error)}
        for name, sentence in problems.items():
            field = self._fields.get(name)
            if known.get(name) == sentence:
                continue
            if isinstance(field, wtforms.FormField):
                field.form.form_errors.append(sentence)
            elif field is not None:
                field.errors = [*field.errors, sentence]
            else:
                self.form_errors.append(sentence)


def _first(found: Any) -> str:
    """The first sentence of a field's errors, which are nested for lists of fields."""
    while not isinstance(found, str):
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    return found


class Line(wtforms.StringField):
    """One line of text without control characters; `most` is its length in characters."""

    data: Any
    input_type = "text"
    input_mode = ""

    def __init__(self, label: str = "", *, most: int = 300, **given: Any) -> None:
        super().__init__(label, **{"default": "", **given})
        self.most = most

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        if not valuelist:
            return
        text = valuelist[0]
        # A text that is far too long is not cleaned, only shown again.
        is_far_too_long = len(text) > 4 * self.most + 100
        self.data = text if is_far_too_long else self.clean(text)
        if is_far_too_long or len(self.data) > self.most:
            raise ValueError(f"Make this shorter: at most {self.most:,} characters.")

    def clean(self, text: str) -> str:
        return clean_line(text)


class Lines(Line):
    """Text of several lines without control characters; spaces inside and before a line are kept.

    `lines` are those that are not empty, each as a Line has it.
    """

    def clean(self, text: str) -> str:
        return "\n".join(_printable(line).rstrip() for line in text.splitlines()).strip("\n")

    @property
    def lines(self) -> list[str]:
        return [line for text in (self.data or "").split("\n") if (line := clean_line(text))]


class EmailLine(Line):
    """An email address, kept as it was typed. An `optional` one may be empty."""

    input_type = "email"

    def __init__(self, label: str = "", *, optional: bool = False, **given: Any) -> None:
        super().__init__(label, most=MAX_ADDRESS_LENGTH, **given)
        self.optional = optional

    @property
    def address(self) -> EmailAddress:
        """The address of a valid form."""
        return parse_address(self.data)

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        if valuelist:
            self.data = valuelist[0]

    def pre_validate(self, form: wtforms.Form) -> None:
        if self.optional and not self.data.strip():
            return
        try:
            parse_address(self.data)
        except Invalid as error:
            raise ValidationError(error.problems["email"]) from None


class Several(wtforms.Field):
    """The values of all fields of this name, such as the checkboxes that were ticked."""

    data: list[str]

    def process_data(self, value: Sequence[str] | None) -> None:
        self.data = list(value or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist


class WholeNumber(Line):
    """A whole number from `least` to `greatest`.

    `data` is what was typed; `number` is the number, or 0 before the form was found valid.
    """

    input_mode = "numeric"

    def __init__(
        self,
        label: str = "",
        *,
        least: int = 0,
        greatest: int = 10**9 - 1,
        problem: str = "Give a whole number.",
        **given: Any,
    ) -> None:
        super().__init__(label, most=20, **given)
        self.least, self.greatest, self.problem = least, greatest, problem

    @property
    def number(self) -> int:
        return parse_number(self.data or "")

    def pre_validate(self, form: wtforms.Form) -> None:
        if not self.data.isdecimal() or not self.least <= self.number <= self.greatest:
            raise ValidationError(self.problem)


class Hidden(Line):
    """A hidden line, such as the version that was edited; it has no validation of its own."""

    widget = wtforms.widgets.HiddenInput()

    @property
    def number(self) -> int:
        return parse_number(self.data or "")


class Choice(wtforms.Field):
    """One of `labels`: their keys are the members of an enum, or strings. `data` is the chosen key.

    `empty` is the label of the option to choose none of them; `data` is None then. Without labels,
    because they depend on the database, the page sets them and the rule checks what is chosen.
    """

    data: Any

    def __init__(
        self,
        label: str = "",
        labels: Mapping[Any, str] | None = None,
        *,
        empty: str | None = None,
        problem: str = CHOOSE_ONE,
        **given: Any,
    ) -> None:
        super().__init__(label, **given)
        self.labels, self.empty, self.problem = labels or {}, empty, problem
        self.is_checked = labels is not None

    def process_data(self, value: Any) -> None:
        self.data = None if value == "" else value

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        if valuelist:
            self.data = valuelist[0] or None

    def post_process(self, formdata: Any = None) -> None:
        known = {_key(key): key for key in self.labels}
        self.data = known.get(_key(self.data), self.data)

    def pre_validate(self, form: wtforms.Form) -> None:
        self.post_process()
        is_none = self.data is None and self.empty is not None
        if self.is_checked and not is_none and self.data not in self.labels:
            raise ValidationError(self.problem)

    @property
    def options(self) -> list[tuple[str, str, bool]]:
        """The value, the label, and whether it is chosen."""
        none = [] if self.empty is None else [("", self.empty, self.data is None)]
        chosen = _key(self.data)
        options = [(_key(key), label, _key(key) == chosen) for key, label in self.labels.items()]
        return none + options


def _key(member: Any) -> str:
    return str(member.value if isinstance(member, Enum) else member)


class Tick(wtforms.BooleanField):
    """A checkbox."""


class Upload(wtforms.Field):
    """A file. `data` is the uploaded file, or None."""

    data: Any

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        self.data = request.files.get(self.name) or None


class Day(Line):
    """A date as the browser's date field sends it. `day` is None where the field is empty."""

    input_type = "date"

    @property
    def day(self) -> date | None:
        return date.fromisoformat(self.data) if self.data else None

    def pre_validate(self, form: wtforms.Form) -> None:
        try:
            _ = self.day
        except ValueError:
            raise ValidationError("Give a date such as 2026-11-22.") from None


class Moment(Line):
    """A local date and time, as the browser's field sends it; `moment` is in UTC, or None."""

    input_type = "datetime-local"

    @property
    def moment(self) -> datetime | None:
        return parse_local_datetime(self.data or "")


def required(sentence: str) -> Callable[[wtforms.Form, wtforms.Field], None]:
    """A validator: the field may not be empty."""

    def check(_form: wtforms.Form, field: wtforms.Field) -> None:
        if not field.data:
            raise ValidationError(sentence)

    return check


JOINERS = "\u200c\u200d"
"""Invisible, but part of emoji and of Persian and Indic words."""


def clean_line(text: str) -> str:
    """The text on one line, without control characters, which databases refuse."""
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    return "".join(ch for ch in text if ch.isprintable() or ch.isspace() or ch in JOINERS)


def parse_number(text: str, *, digits: int = 9) -> int:
    """A non-negative whole number of at most `digits` digits; 0 for any other text."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_number else 0


def parse_local_datetime(text: str, zone: str = "") -> datetime | None:
    """The UTC moment of a local date and time; None for other text and for years out of range.

    `zone` is the site's time zone where it is not given.
    """
    try:
        local = datetime.fromisoformat(text.strip())
        zone_info = ZoneInfo(zone or settings().time_zone)
        return resolve_local_time(local.date(), local.time(), zone_info)
    except (OverflowError, ValueError):
        return None


def format_datetime_input(moment: datetime, zone: str = "") -> str:
    """A moment as the input's value: "2026-11-24T09:00"."""
    return f"{moment.astimezone(ZoneInfo(zone or settings().time_zone)):%Y-%m-%dT%H:%M}"
