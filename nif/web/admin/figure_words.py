"""What the figures say in words: where people came from, and how the mail stands."""

from collections.abc import Mapping, Sequence
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
    "/admin": "Taken off by an admin",
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

AT_TIMES = ("bad", "Too high at times")

COMPLAINED = (
    "{share} of the mails delivered in the last 30 days were called spam: {part} of {whole}."
)
BOUNCED = (
    "{share} of the mails of the last 30 days went to addresses that do not exist: {part} of "
    "{whole}."
)
ON_COMPLAINTS = {
    Standing.GOOD: "Gmail and Yahoo want less than {wanted}.",
    Standing.HIGH: "Gmail and Yahoo want less than {wanted}, and refuse mail from {most} on. Look "
    "at what was sent, and to whom, before the next edition.",
    Standing.OVER: "From {most} on Gmail and Yahoo refuse mail, Gmail until it was lower for seven "
    "days in a row. Mail only who asked for it of late.",
}
ON_BOUNCES = {
    Standing.GOOD: "Below {wanted} nobody minds.",
    Standing.HIGH: "A list that was asked keeps below {wanted}. Look at what was imported last. "
    "NIF stops a send at {most}.",
    Standing.OVER: "NIF stops a send at {most}: only a list that was not asked has so many. Look "
    "at what was imported last.",
}
GRAVITY = list(Standing)


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


def verdicts(month: Rates, week: Rates, sends: Sequence[Rates]) -> Mapping[str, Verdict]:
    """How complaints and bounces stand: of 30 days, of the last seven, and of single sends."""
    every = (month, week, *sends)
    complaints, bounces = [one.complaints for one in every], [one.bounces for one in every]
    return {
        "complaints": _verdict(COMPLAINED, ON_COMPLAINTS, COMPLAINTS, complaints),
        "bounces": _verdict(BOUNCED, ON_BOUNCES, BOUNCES, bounces),
    }


def _verdict(
    told: str, means: Mapping[Standing, str], limit: Limit, rates: Sequence[Rate]
) -> Verdict:
    month, week, *sends = rates
    if month.share is None:
        return Verdict(*STANDINGS[Standing.UNKNOWN], _too_few(month))
    standing = max((one.standing(limit) for one in (month, week)), key=GRAVITY.index)
    above = [one for one in sends if one.standing(limit) in {Standing.HIGH, Standing.OVER}]
    at_times = standing is Standing.GOOD and above
    sentences = [told, means[standing]]
    if week.share is not None and week.standing(limit) is not month.standing(limit):
        sentences.insert(1, f"Of the last seven days it is {percent(week.share)}.")
    if above:
        of = "The last send" if len(sends) == 1 else f"{len(above)} of the last {len(sends)} sends"
        sentences.append(f"{of} had more than is wanted.")
    given = {"share": percent(month.share), "wanted": percent(limit.wanted)}
    given |= {"most": percent(limit.most)}
    words = " ".join(sentences).format(part=number(month.part), whole=number(month.whole), **given)
    return Verdict(*(AT_TIMES if at_times else STANDINGS[standing]), words)


def _too_few(rate: Rate) -> str:
    if rate.whole == 0:
        return "Nothing was delivered in the last 30 days."
    return (
        f"{number(rate.part)} of {number(rate.whole)} in the last 30 days. A rate means something "
        "from 1,000 mails on."
    )
