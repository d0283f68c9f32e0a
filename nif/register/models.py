"""The register: parties, their relationships with NIF, and what stories disclosed about those."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId


class PartyKind(StrEnum):
    PERSON = "person"
    COMPANY = "company"
    PRODUCT = "product"
    EVENT = "event"
    WORK = "work"
    PUBLIC_BODY = "public_body"
    OTHER = "other"


class OurSide(StrEnum):
    """Who on NIF's side has a relationship: NIF, its owner, a product of the owner, or a person."""

    NIF = "nif"
    OWNER = "owner"
    PRODUCT = "product"
    ACCOUNT = "account"


class RelationshipType(StrEnum):
    """What a relationship is; `relationship_types` has the rules and sentences of each type."""

    SAME_GROUP = "same_group"
    OWNER = "owner"
    INVESTOR = "investor"
    SHAREHOLDING = "shareholding"
    CUSTOMER = "customer"
    ADVERTISER = "advertiser"
    SPONSOR = "sponsor"
    AFFILIATE = "affiliate"
    VENDOR = "vendor"
    EVENT_PARTNER = "event_partner"
    DATA_PARTNER = "data_partner"
    CONTENT_LICENCE = "content_licence"
    AI_LICENCE = "ai_licence"
    COMPETITOR = "competitor"
    LITIGATION = "litigation"
    EMPLOYER = "employer"
    BOARD = "board"
    ADVISER = "adviser"
    CLIENT = "client"
    FORMER_EMPLOYER = "former_employer"
    FAMILY = "family"
    FRIEND = "friend"
    FORMER_COLLEAGUE = "former_colleague"
    GIFT = "gift"
    TICKET = "ticket"
    TRAVEL = "travel"
    HOSPITALITY = "hospitality"
    LOAN = "loan"
    FEE = "fee"
    SOURCE_IS_CONTRIBUTOR = "source_is_contributor"
    OTHER = "other"


class RelationshipDirection(StrEnum):
    FROM_THEM = "from_them"
    TO_THEM = "to_them"
    MUTUAL = "mutual"


class Materiality(StrEnum):
    """From the most to the least: without exception, unless waived, where a story touches on it."""

    ALWAYS = "always"
    DEFAULT = "default"
    CONTEXT = "context"


class AmountBand(StrEnum):
    NONE = "none"
    UNDER_50 = "under_50"
    UNDER_250 = "50_to_250"
    UNDER_1000 = "250_to_1000"
    UNDER_10000 = "1000_to_10000"
    OVER_10000 = "over_10000"


class RelationshipVisibility(StrEnum):
    """`MATCH_ONLY` relationships are on no list, only under stories that name the party."""

    PUBLIC = "public"
    MATCH_ONLY = "match_only"


class DisclosureChoice(StrEnum):
    DISCLOSE = "disclose"
    WAIVE = "waive"


class Party(Base):
    """A person, company, product or work that stories are about.

    `folded_name` is the name without case and accents; it is unique. A party that was merged into
    another stays as a pointer to it, without folded name and aliases, for the stories that named
    it.
    """

    __tablename__ = "party"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[PartyKind]
    name: Mapped[str]
    folded_name: Mapped[str | None] = mapped_column(unique=True)
    slug: Mapped[str] = mapped_column(unique=True)
    domains: Mapped[list[Any]] = mapped_column(default=list)
    same_as: Mapped[list[Any]] = mapped_column(default=list)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    aliases: Mapped[list["PartyAlias"]] = relationship(
        order_by="PartyAlias.id", cascade="all, delete-orphan", back_populates="party"
    )


class PartyAlias(Base):
    """Another name of a party. Two parties may share one: a story that uses it then names both."""

    __tablename__ = "party_alias"
    __table_args__ = (UniqueConstraint("party_id", "folded_name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id))
    name: Mapped[str]
    folded_name: Mapped[str] = mapped_column(index=True)

    party: Mapped[Party] = relationship(back_populates="aliases")


class Relationship(Base):
    """A relationship, current or past, between a party and someone on NIF's side.

    Readers see `current_sentence` while it lasts, and `past_sentence` from `until` to
    `last_disclosure_day`. `custom_sentence` is an editor's own sentence; where it is empty, the
    type's is used. `since` is None where it is unknown, `lookback_months` None where the
    relationship is disclosed without limit.
    """

    __tablename__ = "relationship"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    our_side: Mapped[OurSide]
    our_side_name: Mapped[str] = mapped_column(default="")
    account_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id), index=True)
    type: Mapped[RelationshipType]
    direction: Mapped[RelationshipDirection]
    detail: Mapped[str] = mapped_column(default="")
    since: Mapped[date | None]
    until: Mapped[date | None]
    lookback_months: Mapped[int | None]
    last_disclosure_day: Mapped[date | None]
    materiality: Mapped[Materiality]
    amount_band: Mapped[AmountBand] = mapped_column(default=AmountBand.NONE)
    custom_sentence: Mapped[str] = mapped_column(default="")
    current_sentence: Mapped[str]
    past_sentence: Mapped[str]
    visibility: Mapped[RelationshipVisibility] = mapped_column(
        default=RelationshipVisibility.PUBLIC
    )
    evidence_url: Mapped[str] = mapped_column(default="")
    version: Mapped[int] = mapped_column(default=1)
    changed_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    changed_at: Mapped[datetime]

    party: Mapped[Party] = relationship(lazy="joined", innerjoin=True)

    def is_over(self, on: date) -> bool:
        return self.until is not None and self.until < on

    def sentence_on(self, on: date) -> str:
        """The sentence that is true on a day."""
        return self.past_sentence if self.is_over(on) else self.current_sentence


class DisclosureDecision(Base):
    """What a story does about a relationship: discloses it, or waives that, with a reason.

    `sentence` is frozen as it read then; `version` is the relationship's version at that time. A
    waiver takes effect once a second person has confirmed it. `by_id` is None where a rule decided.
    """

    __tablename__ = "disclosure_decision"
    __table_args__ = (UniqueConstraint("story_id", "relationship_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # No foreign key: the register is a lower layer and does not know stories.
    story_id: Mapped[int] = mapped_column(BigInteger)
    relationship_id: Mapped[int] = mapped_column(ForeignKey(Relationship.id), index=True)
    version: Mapped[int]
    decision: Mapped[DisclosureChoice] = mapped_column(index=True)
    sentence: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    at: Mapped[datetime]

    relationship: Mapped[Relationship] = relationship(lazy="joined", innerjoin=True)

    @property
    def is_in_force(self) -> bool:
        """A waiver takes effect only with a second person."""
        return self.decision is DisclosureChoice.DISCLOSE or self.confirmed_by_id is not None


class RegisterVersion(Base):
    """One row. `version` is a new random text after every change of a name.

    A number would not do: after a rollback, the same number would stand for other names.
    """

    __tablename__ = "register_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str]
