"""What the figures say in words: where people came from, and how the mail stands."""

from collections.abc import Mapping
from typing import NamedTuple

from nif.sends.rating import BOUNCES, COMPLAINTS, Limit, Rate, Rates, Standing
from nif.subscriptions.leaving import BY_ONE_CLICK
from nif.web.admin.charting import percent
from nif.web.filters import number


class Source(NamedTuple):
    """A source in words, and its page where it is one."""

    words: str
    page: str | None = None


PAGES = {
    "/": "The front page",
    "/subscribe": "The page to subscribe on",
    "/articles": "A story",
    "/newsletters": "The page of a newsletter",
    "/preferences": "Readers’ own pages",
    "/tags": "The stories of a subject",
    "/confirm": "The link in a confirmation",
    "/unsubscribe": "The page to leave on",
}
"""Pages by how their addresses begin."""

STANDINGS = {
    Standing.UNKNOWN: ("", "Too few mails to say"),
    Standing.GOOD: ("good", "As it should be"),
    Standing.HIGH: ("bad", "Too high"),
    Standing.OVER: ("bad", "At the limit"),
}
"""A standing as a tag shows it: its class, and its words."""


class Verdict(NamedTuple):
    """How a rate stands: the tag's class and words, and what it means."""

    kind: str
    words: str
    means: str


def source(told: str) -> Source:
    """What a source is called."""
    if told.startswith("import:"):
        return Source(f"Import {told.removeprefix('import:')}")
    if told == BY_ONE_CLICK:
        return Source("One click in the mail program")
    if not told.startswith("/"):
        return Source("By way of the mail provider")
    begins = "/" + told.split("/")[1]
    return Source(PAGES.get(begins, "Another page"), told)


def verdicts(rates: Rates) -> Mapping[str, Verdict]:
    """How complaints and bounces of the last 30 days stand."""
    return {
        "complaints": _verdict(
            rates.complaints,
            COMPLAINTS,
            "{share} of the mails delivered in the last 30 days were called spam: {part} of "
            "{whole}.",
            {
                Standing.GOOD: "Gmail and Yahoo want less than {wanted}.",
                Standing.HIGH: "Gmail and Yahoo want less than {wanted}; from {most} on they "
                "refuse mail. Look at what was sent, and to whom, before the next edition.",
                Standing.OVER: "From {most} on Gmail and Yahoo refuse mail, and Gmail does so "
                "until it was lower for seven days. Mail only who asked for it lately.",
            },
            "complaints",
        ),
        "bounces": _verdict(
            rates.bounces,
            BOUNCES,
            "{share} of the mails of the last 30 days went to addresses that do not exist: {part} "
            "of {whole}.",
            {
                Standing.GOOD: "Below {wanted} nobody minds.",
                Standing.HIGH: "A list that was asked keeps below {wanted}. Look at what was "
                "imported last. NIF stops a send at {most}.",
                Standing.OVER: "NIF stops a send at {most}: so many only a list has that was not "
                "asked. Look at what was imported last.",
            },
            "bounces",
        ),
    }


def _verdict(
    rate: Rate, limit: Limit, told: str, means: Mapping[Standing, str], what: str
) -> Verdict:
    standing = rate.standing(limit)
    kind, words = STANDINGS[standing]
    given = {
        "part": number(rate.part),
        "whole": number(rate.whole),
        "wanted": percent(limit.wanted),
        "most": percent(limit.most),
    }
    if rate.share is None:
        mails = f"{given['whole']} mail{'' if rate.whole == 1 else 's'}"
        return Verdict(
            kind,
            words,
            f"Of {mails} in the last 30 days {given['part']} are {what}. A rate means "
            "something from 1,000 on.",
        )
    sentence = f"{told} {means[standing]}".format(share=percent(rate.share), **given)
    return Verdict(kind, words, sentence)
