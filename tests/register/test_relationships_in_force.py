from datetime import date, timedelta

from sqlalchemy import event

from nif.register.models import OurSide, RelationshipType
from nif.register.parties import PartyInput, change_party
from nif.register.relationships import list_relationships_in_force
from tests.factories import an_account
from tests.register.entries import PUBLISHER, TODAY, a_party, a_relationship

A_DAY = timedelta(days=1)


def test_current_and_recently_ended_relationships_are_in_force(session):
    party, noise = a_party(session), a_party(session, "Noise")
    a_relationship(session, noise)
    standing = a_relationship(session, party, since=None)
    ended = a_relationship(session, party, until=date(2025, 11, 20))
    a_relationship(session, party, until=date(2025, 11, 19))
    a_relationship(session, party, since=TODAY + A_DAY)

    assert list_relationships_in_force(session, [party.id], on=TODAY) == [standing, ended]
    assert list_relationships_in_force(session, [party.id], on=ended.last_disclosure_day + A_DAY)[
        :1
    ] == [standing]
    assert list_relationships_in_force(session, [], on=TODAY) == []


def test_mandatory_relationships_come_first(session):
    party, account = a_party(session), an_account(session)
    person = {"our_side": OurSide.ACCOUNT, "account_id": account.id, "until": TODAY}
    context = a_relationship(session, party, RelationshipType.FORMER_COLLEAGUE, **person)
    default = a_relationship(session, party, RelationshipType.COMPETITOR)
    always = a_relationship(session, party)

    assert list_relationships_in_force(session, [party.id], on=TODAY) == [always, default, context]


def test_relationships_of_a_parent_party_apply_but_not_those_of_its_parts(session):
    group = a_party(session, "Group")
    label = a_party(session, "Label", parent_id=group.id)
    imprint = a_party(session, "Imprint", parent_id=label.id)
    above, own = a_relationship(session, group), a_relationship(session, imprint)

    assert list_relationships_in_force(session, [imprint.id], on=TODAY) == [above, own]
    assert list_relationships_in_force(session, [imprint.id, group.id, label.id], on=TODAY) == [
        above,
        own,
    ]
    assert list_relationships_in_force(session, [group.id], on=TODAY) == [above]


def test_parties_that_are_parents_of_each_other_make_no_endless_loop(session):
    one = a_party(session, "One")
    two = a_party(session, "Two", parent_id=one.id)
    one.parent_id = two.id
    session.flush()

    assert list_relationships_in_force(session, [one.id], on=TODAY) == []


def test_relationships_are_read_in_one_query(session):
    group = a_party(session, "Group")
    parties = [a_party(session, f"Label {n}", parent_id=group.id) for n in range(5)]
    for party in parties:
        a_relationship(session, party)
    session.flush()
    session.expunge_all()
    asked = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *all_: asked.append(all_[2]))

    names = [
        each.party.name for each in list_relationships_in_force(session, range(1, 7), on=TODAY)
    ]

    assert names == [f"Label {n}" for n in range(5)]
    assert len(asked) == 1


def test_a_party_that_leaves_its_group_loses_the_groups_relationships(session):
    group = a_party(session, "Group")
    label = a_party(session, "Label", parent_id=group.id)
    a_relationship(session, group)

    change_party(session, label, PartyInput("Label"), version=1, publisher=PUBLISHER)

    assert list_relationships_in_force(session, [label.id], on=TODAY) == []
