"""The fields of forms: cleaning, lengths, choices and the problems beside them."""

from enum import StrEnum
from io import BytesIO

import pytest
from flask import Flask, request
from werkzeug.datastructures import MultiDict
from wtforms import FormField

from nif.errors import Conflict, Invalid
from nif.web.forms import (
    Choice,
    Day,
    EmailLine,
    Form,
    Line,
    Lines,
    Several,
    Tick,
    Upload,
    WholeNumber,
    required,
)

EMAIL_PROBLEM = "This does not look like an email address. An email address must have an @-sign."


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Place(Form):
    street = Line("Street", most=10)


class Order(Form):
    name = Line("Name", most=10, validators=[required("Give a name.")])
    notes = Lines("Notes", most=100)
    size = Choice("Size", {Size.SMALL: "Small", Size.LARGE: "Large"}, empty="Any")
    pieces = WholeNumber("Pieces", least=1, greatest=20, default="1")
    by = Day("By")
    gift = Tick("A gift")
    shop = Choice("Shop")
    home = FormField(Place)
    office = FormField(Place)
    email = EmailLine("Email address", optional=True)
    colours = Several()


class Photo(Form):
    picture = Upload("Picture")


def submitted(**fields: str) -> Order:
    return Order(MultiDict({"name": "Ann", **fields}))


def test_typed_text_is_cleaned() -> None:
    form = submitted(name=" A\0nn \n B ", notes=" one\r\n\x07two \n\n")

    assert form.validate(), form.problems
    assert form.name.data == "Ann B"
    assert form.notes.lines == ["one", "two"]


def test_values_of_a_form_are_read_in_their_types() -> None:
    form = submitted(size="large", pieces="7", by="2026-11-30", gift="1")

    assert form.validate(), form.problems
    assert form.size.data is Size.LARGE
    assert (form.pieces.number, str(form.by.day), form.gift.data) == (7, "2026-11-30", True)


def test_an_address_is_kept_as_typed_and_read_as_it_is_mailed() -> None:
    form = submitted(email=" Ann@Example.com ")

    assert form.validate(), form.problems
    assert (form.email.data, form.email.address.written) == (" Ann@Example.com ", "Ann@example.com")


def test_several_values_of_one_name_are_read() -> None:
    form = Order(MultiDict([("name", "Ann"), ("colours", "red"), ("colours", "blue")]))

    assert form.colours.data == ["red", "blue"]
    assert Order(colours=["red"]).colours.data == ["red"]
    assert Order().colours.data == []


def test_an_optional_choice_may_be_left_out() -> None:
    form = submitted(size="")

    assert form.validate()
    assert form.size.data is None
    assert form.size.options[0] == ("", "Any", True)


def test_an_empty_text_that_is_stored_is_no_choice() -> None:
    assert Order(size="").size.options[0] == ("", "Any", True)


def test_an_upload_is_a_file_or_none() -> None:
    app = Flask(__name__)
    for sent, name in (({"picture": (BytesIO(b"x"), "x.png")}, "x.png"), ({}, None)):
        with app.test_request_context(method="POST", data=sent):
            data = Photo(request.form).picture.data
            assert (data and data.filename) == name


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("name", "", "Give a name."),
        ("name", "x" * 11, "Make this shorter: at most 10 characters."),
        ("name", "x" * 100_000, "Make this shorter: at most 10 characters."),
        ("size", "huge", "Choose one of these."),
        ("pieces", "0", "Give a whole number."),
        ("pieces", "٣", "Give a whole number."),
        ("pieces", "9" * 5000, "Make this shorter: at most 20 characters."),
        ("email", "ann", EMAIL_PROBLEM),
        ("by", "tomorrow", "Give a date such as 2026-11-22."),
    ],
)
def test_each_problem_has_a_sentence(field: str, typed: str, sentence: str) -> None:
    form = submitted(**{field: typed})

    assert not form.validate()
    assert form.problems == {field: sentence}


def test_a_text_that_is_too_long_is_shown_again_whole() -> None:
    for length in (11, 100_000):
        assert submitted(name="x" * length).name.data == "x" * length


def test_joiners_and_the_layout_of_several_lines_are_kept() -> None:
    text = "👩\u200d💻  reads:\n    می\u200cخواهم"

    form = submitted(name="👩\u200d💻", notes=f"{text}  \r\n\n")

    assert form.name.data == "👩\u200d💻"
    assert form.notes.data == text


def test_problems_found_by_a_rule_are_added_to_those_of_the_form() -> None:
    form = submitted(name="")
    form.validate()

    form.refuse(Invalid({"name": "Too short.", "pieces": "None left.", "stock": "It is closed."}))

    assert form.problems["name"] == "Give a name."
    assert form.problems["pieces"] == "None left."
    assert form.form_errors == ["It is closed."]


def test_a_rule_may_refuse_a_form_that_was_not_checked() -> None:
    form = submitted()

    form.refuse(Invalid({"by": "That is too late."}))

    assert form.problems == {"by": "That is too late."}


def test_problems_of_a_nested_form_are_kept_with_it() -> None:
    form = submitted(**{"home-street": "x" * 11})
    form.validate()

    form.refuse(Invalid({"home": "Nobody lives there.", "office": "Nobody works there."}))

    long = "Make this shorter: at most 10 characters."
    assert form.problems == {"home": long, "office": "Nobody works there."}
    assert form.home.form.form_errors == ["Nobody lives there."]


def test_a_problem_of_two_fields_is_shown_beside_both() -> None:
    form = submitted()

    form.refuse(Invalid({"notes": "Say more.", "pieces": "Say more."}))

    assert form.problems == {"notes": "Say more.", "pieces": "Say more."}


def test_a_choice_without_labels_is_checked_by_the_rule() -> None:
    form = submitted(shop="7")
    form.shop.labels = {"6": "The old one", "7": "The new one"}

    assert form.validate(), form.problems
    assert form.shop.options == [("6", "The old one", False), ("7", "The new one", True)]


def test_a_conflict_is_reported_beside_no_field() -> None:
    form = submitted()
    form.validate()

    form.refuse(Conflict("Somebody was faster."))

    assert (form.conflict, form.problems) == ("Somebody was faster.", {})
