import pytest

from nif.register.name_matching import fold_name, has_letter_or_digit, normalize_text


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Beyoncé", "beyonce"),
        ("Anna’s Archive", "anna's archive"),
        ("  Sigur   Rós ", "sigur ros"),
        ("Mø", "mo"),
        ("Motörhead", "motorhead"),
        ("Jay‑Z", "jay-z"),
        ("Spo\u00adtify", "spotify"),
        ("Straße", "strasse"),
    ],
)
def test_names_are_the_same_whatever_their_accents_and_apostrophes(name, same):
    assert fold_name(name) == same


def test_a_trade_mark_does_not_become_part_of_the_name():
    assert normalize_text("Spotify™") == "Spotify™"


def test_a_name_has_a_letter_or_a_digit():
    assert has_letter_or_digit("!K7")
    assert has_letter_or_digit("音楽")
    assert not any(map(has_letter_or_digit, ("", "  ", "!!!", "´")))
