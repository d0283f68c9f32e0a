"""The gate for pictures: what each shows, whose it is, and whether AI made it, is told."""

from collections.abc import Iterator

from nif.media.describing import is_mislabelled
from nif.media.models import Picture
from nif.stories.gates.finding import Case, Finding, Weight
from nif.stories.picturing import chosen_in


def told(case: Case) -> Iterator[Finding]:
    """G24: alt text or decorative, a credit, its files, and its label where AI had a part in it."""
    for field, picture_id in chosen_in(case.story):
        if (picture := case.pictures.get(picture_id)) is not None:
            yield from _missing(field, picture)


def _missing(field: str, picture: Picture) -> Iterator[Finding]:
    what = "The lead picture" if field == "picture_id" else _where(field)
    if not (picture.alt.strip() or picture.is_decorative):
        text = f"{what} has no alt text: say in the library what it shows, or that it decorates."
        yield Finding("G24", field, text)
    if not picture.credit.strip():
        text = f"{what} has no credit: say in the library whose it is."
        yield Finding("G24", field, text)
    if is_mislabelled(picture, picture.source_told):
        text = f"{what} says of itself that AI had a part in it: say so in the library."
        yield Finding("G24", field, text)
    if picture.is_preparing:
        text = f"{what} is still being prepared. That takes some seconds."
        yield Finding("G24", field, text)
    if not (picture.licence.strip() or picture.licence_url):
        text = f"{what} names no licence. May we show it?"
        yield Finding("G24", field, text, Weight.WARN)


def _where(field: str) -> str:
    return f"The picture of section {int(field.split('-')[1]) + 1}"
