"""What follows from the nature of a relationship: how long it matters, how much, and its sentence.

One table. Nobody types these sentences: they are made from the fields, and `other` alone is free.
"""

from dataclasses import dataclass
from typing import Any

from nif.register.models import Direction, Materiality, Nature, Ours, Visibility

EVERYONE = frozenset(Ours)
NIF = frozenset({Ours.NIF})
HOUSE = frozenset({Ours.NIF, Ours.OWNER, Ours.PRODUCT})
PEOPLE = frozenset({Ours.ACCOUNT})


@dataclass(frozen=True)
class Terms:
    """What a nature means.

    `standing` is the sentence while it stands and `ended` once it is over; `lookback_months` says
    how long it is told after its end, 0 for not at all and None for without limit. `detail` asks
    for what the sentence needs besides. `once`: it happens on one day. `past`: it is over by its
    very nature, so its end has to be given.
    """

    group: str
    label: str
    standing: str
    ended: str
    materiality: Materiality = Materiality.ALWAYS
    lookback_months: int | None = 0
    sides: frozenset[Ours] = EVERYONE
    direction: Direction = Direction.MUTUAL
    visibility: Visibility = Visibility.PUBLIC
    detail: str = ""
    once: bool = False
    past: bool = False


def _gift(label: str, sentence: str, detail: str) -> Terms:
    usual: dict[str, Any] = {"lookback_months": 12, "direction": Direction.FROM_THEM, "once": True}
    return Terms("Benefit", label, sentence, sentence, detail=detail, **usual)


def _deal(label: str, standing: str, ended: str, **given: Any) -> Terms:
    usual = {"lookback_months": 12, "sides": HOUSE, "direction": Direction.FROM_THEM}
    return Terms("Commercial", label, standing, ended, **{**usual, **given})


def _work(label: str, doing: str, done: str) -> Terms:
    return Terms(
        "Work",
        label,
        f"{{Who}} also {doing} {{party}}.",
        f"{{Who}} {done} {{party}} until {{year}}.",
        lookback_months=36,
        sides=PEOPLE,
        direction=Direction.TO_THEM,
    )


NATURES: dict[Nature, Terms] = {
    Nature.SAME_GROUP: Terms(
        "Ownership",
        "Is part of the same group",
        "{party} is part of {owner}, which also owns {nif}.",
        "Until {year}, {party} was part of {owner}, which also owns {nif}.",
        sides=frozenset({Ours.OWNER}),
    ),
    Nature.OWNER: Terms(
        "Ownership",
        "Owns, or owned, one of us",
        "{party} owns {one}.",
        "{party} owned {formerly} until {year}.",
        lookback_months=60,
        sides=HOUSE,
        direction=Direction.FROM_THEM,
    ),
    Nature.INVESTOR: Terms(
        "Ownership",
        "Has invested in one of us",
        "{party} has invested in {one}.",
        "{party} was an investor in {formerly} until {year}.",
        lookback_months=60,
        sides=HOUSE,
        direction=Direction.FROM_THEM,
    ),
    Nature.SHAREHOLDING: Terms(
        "Ownership",
        "One of us owns shares in it",
        "{Who} owns shares in {party}.",
        "{Who} owned shares in {party} until {year}.",
        lookback_months=60,
        direction=Direction.TO_THEM,
    ),
    Nature.CUSTOMER: _deal(
        "Is a customer",
        "{party} pays for {one}.",
        "Until {year}, {party} paid for {one}.",
        materiality=Materiality.DEFAULT,
        sides=frozenset({Ours.NIF, Ours.PRODUCT}),
        visibility=Visibility.MATCH_ONLY,
    ),
    Nature.ADVERTISER: _deal(
        "Advertises with us",
        "{party} advertises with {us}.",
        "Until {year}, {party} advertised with {us}.",
    ),
    Nature.SPONSOR: _deal(
        "Sponsors us",
        "{party} sponsors {us}.",
        "Until {year}, {party} sponsored {us}.",
    ),
    Nature.AFFILIATE: _deal(
        "Pays a commission on what readers buy",
        "We earn a commission if you buy from {party} through our links.",
        "Until {year}, we earned a commission on what readers bought from {party}.",
        sides=NIF,
        lookback_months=0,
    ),
    Nature.VENDOR: _deal(
        "Supplies something to us",
        "{party} supplies {detail} to {us}.",
        "Until {year}, {party} supplied {detail} to {us}.",
        materiality=Materiality.DEFAULT,
        direction=Direction.TO_THEM,
        detail="What it supplies: office software",
    ),
    Nature.EVENT_PARTNER: _deal(
        "Runs events with us",
        "{party} runs events together with {us}.",
        "Until {year}, {party} ran events together with {us}.",
        materiality=Materiality.DEFAULT,
        direction=Direction.MUTUAL,
    ),
    Nature.DATA_PARTNER: _deal(
        "Shares data with us",
        "{party} supplies data to {us}.",
        "Until {year}, {party} supplied data to {us}.",
        materiality=Materiality.DEFAULT,
        direction=Direction.MUTUAL,
    ),
    Nature.CONTENT_LICENCE: _deal(
        "Has licensed our content",
        "{party} has licensed {nif}'s content.",
        "Until {year}, {party} had a licence for {nif}'s content.",
        sides=NIF,
        lookback_months=0,
    ),
    Nature.AI_LICENCE: _deal(
        "Has licensed our content to train AI",
        "{party} has licensed {nif}'s content to train AI.",
        "Until {year}, {party} had a licence to train AI on {nif}'s content.",
        sides=NIF,
        lookback_months=0,
    ),
    Nature.COMPETITOR: _deal(
        "Competes with one of us",
        "{party} competes with {one}.",
        "Until {year}, {party} competed with {one}.",
        materiality=Materiality.DEFAULT,
        lookback_months=0,
        direction=Direction.MUTUAL,
    ),
    Nature.LITIGATION: _deal(
        "Is in a legal dispute with one of us",
        "{Who} and {party} are in a legal dispute.",
        "{Who} and {party} were in a legal dispute until {year}.",
        lookback_months=0,
        sides=EVERYONE,
        direction=Direction.MUTUAL,
    ),
    Nature.EMPLOYER: _work("Employs one of us", "works for", "worked for"),
    Nature.BOARD: _work(
        "Has one of us on its board", "sits on the board of", "was on the board of"
    ),
    Nature.ADVISER: _work("Is advised by one of us", "advises", "advised"),
    Nature.CLIENT: _work("Is a client of one of us", "does paid work for", "did paid work for"),
    Nature.FORMER_EMPLOYER: Terms(
        "Work",
        "Employed one of us before",
        "{Who} worked at {party} until {year}.",
        "{Who} worked at {party} until {year}.",
        materiality=Materiality.DEFAULT,
        lookback_months=36,
        sides=PEOPLE,
        direction=Direction.TO_THEM,
        past=True,
    ),
    Nature.FAMILY: Terms(
        "Personal",
        "Is family",
        "{Who} is related to {person}.",
        "Until {year}, {who} was related to {person}.",
        sides=PEOPLE,
    ),
    Nature.FRIEND: Terms(
        "Personal",
        "Is a friend",
        "{Who} is a friend of {person}.",
        "Until {year}, {who} was a friend of {person}.",
        sides=PEOPLE,
    ),
    Nature.FORMER_COLLEAGUE: Terms(
        "Personal",
        "Is a former colleague",
        "{Who} used to work with {person}.",
        "{Who} used to work with {person}.",
        materiality=Materiality.CONTEXT,
        lookback_months=24,
        sides=PEOPLE,
        past=True,
    ),
    Nature.GIFT: _gift(
        "Gave us something", "{party} gave {us} {detail}{worth}.", "What it gave: a turntable"
    ),
    Nature.TICKET: _gift(
        "Gave us a ticket", "{party} gave {us} {detail}{worth}.", "What for: a ticket to its show"
    ),
    Nature.TRAVEL: _gift(
        "Paid for our travel", "{party} paid for {our} travel to {detail}{worth}.", "Where to: Oslo"
    ),
    Nature.HOSPITALITY: _gift(
        "Hosted us", "{party} hosted {us} at {detail}{worth}.", "Where: a hotel in Oslo"
    ),
    Nature.LOAN: _gift(
        "Lent us something", "{party} lent {us} {detail}{worth}.", "What it lent: a turntable"
    ),
    Nature.FEE: _gift(
        "Paid us a fee", "{party} paid {us} for {detail}{worth}.", "What for: a talk"
    ),
    Nature.SOURCE_IS_CONTRIBUTOR: Terms(
        "Editorial",
        "Writes for us too",
        "{party}, quoted here, also writes for {nif}.",
        "{party}, quoted here, wrote for {nif} until {year}.",
        sides=NIF,
    ),
    Nature.OTHER: Terms(
        "Editorial",
        "Something else, in your own words",
        "",
        "",
        materiality=Materiality.CONTEXT,
        lookback_months=12,
    ),
}
