"""Who NIF writes about, what stands between them and NIF, and what a story told of it."""

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
    """Who on our side a relationship is of: NIF, its owner, a product of the owner, a person."""

    NIF = "nif"
    OWNER = "owner"
    PRODUCT = "product"
    ACCOUNT = "account"


class RelationshipType(StrEnum):
    """What stands between a party and us; natures.py says what follows from each."""

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
    """`always` is told without exception, `default` unless waived, `context` as a story asks."""

    ALWAYS = "always"
    DEFAULT = "default"
    CONTEXT = "context"


class AmountBand(StrEnum):
    NONE = "none"
    UNDER_50 = "under_50"
    UNDER_250 = "50_to_250"
    UNDER_1000 = "250_to_1000"
    UNDER_10000 = "1000_to_10000"
    MORE = "over_10000"


class RelationshipVisibility(StrEnum):
    """`match_only` is printed under a story that names the party, and is on no list."""

    PUBLIC = "public"
    MATCH_ONLY = "match_only"


class DisclosureChoice(StrEnum):
    DISCLOSE = "disclose"
    WAIVE = "waive"


class Party(Base):
    """A person, company, product or work that stories are about.

    `folded` is the name without case and accents: no two parties share one. A party that was
    merged into another stays as a signpost, with no `folded` and no aliases, so that what named
    it can still be followed.
    """

    __tablename__ = "party"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[PartyKind]
    name: Mapped[str]
    folded: Mapped[str | None] = mapped_column(unique=True)
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
    """Another name of a party. Two parties may share one: a story then brings up both."""

    __tablename__ = "alias"
    __table_args__ = (UniqueConstraint("party_id", "folded"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id))
    name: Mapped[str]
    folded: Mapped[str] = mapped_column(index=True)

    party: Mapped[Party] = relationship(back_populates="aliases")


class Relationship(Base):
    """What stands, or stood, between a party and someone on our side.

    `sentence` is what readers are told while it stands, `afterwards` what they are told between
    `until` and `last_day`; `wording` is an editor's own sentence, empty where the nature's is
    used. `since` is None where nobody knows, `lookback_months` None where there is no limit.
    """

    __tablename__ = "relationship"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ours: Mapped[OurSide]
    ours_label: Mapped[str] = mapped_column(default="")
    account_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id), index=True)
    nature: Mapped[RelationshipType]
    direction: Mapped[RelationshipDirection]
    detail: Mapped[str] = mapped_column(default="")
    since: Mapped[date | None]
    until: Mapped[date | None]
    lookback_months: Mapped[int | None]
    last_day: Mapped[date | None]
    materiality: Mapped[Materiality]
    amount_band: Mapped[AmountBand] = mapped_column(default=AmountBand.NONE)
    wording: Mapped[str] = mapped_column(default="")
    sentence: Mapped[str]
    afterwards: Mapped[str]
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

    def says(self, on: date) -> str:
        """The sentence that is true on a day."""
        return self.afterwards if self.is_over(on) else self.sentence


class DisclosureDecision(Base):
    """What a story does about a relationship: tells it, or not, and then why.

    `sentence` is frozen as it stood, `version` is the relationship's at that time. A waiver holds
    once `second_by_id` is there. `by_id` is None where the rule decided by itself.
    """

    __tablename__ = "disclosure_decision"
    __table_args__ = (UniqueConstraint("story_id", "relationship_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # No foreign key: the register lies below the stories and does not know them.
    story_id: Mapped[int] = mapped_column(BigInteger)
    relationship_id: Mapped[int] = mapped_column(ForeignKey(Relationship.id), index=True)
    version: Mapped[int]
    decision: Mapped[DisclosureChoice] = mapped_column(index=True)
    sentence: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    second_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    at: Mapped[datetime]

    relationship: Mapped[Relationship] = relationship(lazy="joined", innerjoin=True)

    @property
    def holds(self) -> bool:
        """A waiver holds only with a second person."""
        return self.decision is DisclosureChoice.DISCLOSE or self.second_by_id is not None


class RegisterVersion(Base):
    """One row whose stamp changes with every change of a name.

    It is no number: what a transaction wrote that was rolled back must not come again.
    """

    __tablename__ = "register_stamp"

    id: Mapped[int] = mapped_column(primary_key=True)
    stamp: Mapped[str]
