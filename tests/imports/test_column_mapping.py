"""Column names and status words of other programs."""

import pytest

from nif.imports.column_mapping import StatedStatus, find_vendor, parse_row, propose_column_mapping

EXPORTS = {
    "Mailchimp": (
        "Email Address,First Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,LAST_CHANGED,LEID,EUID,"
        "TAGS,UNSUB_TIME,CLEAN_TIME",
        {
            "a@x.com,A,2,2020-01-01,2020-01-02,,1,a,,,": StatedStatus.SUBSCRIBED,
            "b@x.com,B,2,2020-01-01,2020-01-01,,1,a,,2021-05-05,": StatedStatus.UNSUBSCRIBED,
            "c@x.com,C,2,2020-01-01,2020-01-01,,1,a,,,2021-05-05 10:00:00": StatedStatus.BOUNCED,
        },
    ),
    "Substack": (
        "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at",
        {
            "a@x.com,false,,other,false,2022-02-02T00:00:00.000Z,": StatedStatus.SUBSCRIBED,
            "b@x.com,true,,yearly,true,2022-02-02T00:00:00.000Z,": StatedStatus.UNSUBSCRIBED,
        },
    ),
    "beehiiv": (
        "email,status,created_at,utm_source,unsubscribed_at",
        {
            "a@x.com,active,2022-02-02 00:00:00 UTC,x,": StatedStatus.SUBSCRIBED,
            "b@x.com,inactive,2022-02-02 00:00:00 UTC,x,": StatedStatus.UNSUBSCRIBED,
            "c@x.com,pending,2022-02-02 00:00:00 UTC,x,": StatedStatus.PENDING,
            "d@x.com,invalid,2022-02-02 00:00:00 UTC,x,": StatedStatus.BOUNCED,
        },
    ),
    "Ghost": (
        "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at,labels",
        {
            "1,a@x.com,A,,true,,,2019-10-30T14:52:08.000Z,,": StatedStatus.SUBSCRIBED,
            "2,b@x.com,B,,false,,,2019-10-30T14:52:08.000Z,,": StatedStatus.UNSUBSCRIBED,
        },
    ),
    "Buttondown": (
        "id,email,notes,tags,referrer_url,type,creation_date,unsubscription_date",
        {
            "1,a@x.com,,,,regular,2022-02-02T00:00:00Z,": StatedStatus.SUBSCRIBED,
            "2,b@x.com,,,,unsubscribed,2022-02-02T00:00:00Z,2023-01-01": StatedStatus.UNSUBSCRIBED,
            "3,c@x.com,,,,complained,2022-02-02T00:00:00Z,": StatedStatus.COMPLAINED,
            "4,d@x.com,,,,undeliverable,2022-02-02T00:00:00Z,": StatedStatus.BOUNCED,
            "5,e@x.com,,,,unactivated,2022-02-02T00:00:00Z,": StatedStatus.PENDING,
        },
    ),
    "listmonk": (
        "uuid,email,name,attributes,status,created_at,updated_at",
        {
            "1,a@x.com,A,{},enabled,2022-02-02 00:00:00+00:00,": StatedStatus.SUBSCRIBED,
            "2,b@x.com,B,{},blocklisted,2022-02-02 00:00:00+00:00,": StatedStatus.UNSUBSCRIBED,
        },
    ),
}


@pytest.mark.parametrize("vendor", EXPORTS)
def test_exports_of_other_programs_are_recognised(vendor):
    header, lines = EXPORTS[vendor]
    names = header.split(",")
    cells = [line.split(",") for line in lines]

    columns, has_header = propose_column_mapping([names, *cells])

    assert (find_vendor(names), has_header) == (vendor, True)
    rows = [parse_row((2, one), columns) for one in cells]
    assert [(row.code, row.status) for row in rows] == [("", kind) for kind in lines.values()]
    assert all(row.subscribed_at is not None for row in rows)


def test_a_type_column_without_status_words_is_not_the_status():
    columns, _ = propose_column_mapping(
        [["email", "type"], ["a@x.com", "html"], ["b@x.com", "text"]]
    )
    assert columns.status is None


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["subscribed", "Unsubscribed", ""], 2),
        (["cleaned", "active"], 2),
        (["active", "free"], None),
        (["subscribed", "whatever"], None),
        (["", ""], None),
    ],
)
def test_a_status_column_is_recognised_by_its_words(words: list[str], proposed: int | None) -> None:
    rows = [["n", "email", "MEMBER"], *([str(n), f"a{n}@b.com", w] for n, w in enumerate(words))]

    columns, has_header = propose_column_mapping(rows)

    assert (columns.email, columns.status, has_header) == (1, proposed, True)
