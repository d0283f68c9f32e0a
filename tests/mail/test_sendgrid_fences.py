"""SendGrid's fences and suppression lists."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from nif.mail.provider import AccountLocked, Fence, ProviderSuppression, Uncertain
from nif.mail.sendgrid import PAGE_SIZE, SUPPRESSION_LISTS, SendGridMailer
from tests.mail.sendgrid import ATTEMPT, MESSAGE, Odd, copy
from tests.standin.client import Standin

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        standin.account(cancel_margin=0.2)
        yield standin


def post(sendgrid: SendGridMailer, fence_id: str, name: str, *, ahead: float = 1.5) -> None:
    """Post a request with one copy that waits behind a fence for so many seconds."""
    fence = Fence(fence_id, datetime.now(UTC) + timedelta(seconds=ahead))
    sendgrid.post(sendgrid.build_request(MESSAGE, [copy(name)], attempt=ATTEMPT, fence=fence))


def new_fence(sendgrid: SendGridMailer) -> str:
    fence_id = sendgrid.create_fence()
    assert fence_id is not None
    return fence_id


def everyone_mailed(standin: Standin) -> list[str]:
    """Who was mailed in the end, once all that is scheduled has gone out."""
    standin.wait_until_sent()
    return sorted(standin.recipients())


def test_each_fence_has_an_id_of_its_own(sendgrid: SendGridMailer) -> None:
    assert len({new_fence(sendgrid) for _ in range(3)}) == 3


def test_a_request_has_its_fence_and_the_time_it_goes_out(sendgrid: SendGridMailer) -> None:
    out = datetime(2026, 11, 20, 12, 15, 0, 900_000, tzinfo=UTC)
    request = sendgrid.build_request(
        MESSAGE, [copy("ann")], attempt=ATTEMPT, fence=Fence("a fence", out)
    )
    plain = sendgrid.build_request(MESSAGE, [copy("ann")], attempt=ATTEMPT)

    said = orjson.loads(request.content)  # type: ignore[arg-type]
    assert (said["batch_id"], said["send_at"]) == ("a fence", 1795176900)
    assert {"batch_id", "send_at"}.isdisjoint(orjson.loads(plain.content))  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["post", "recall"])
def test_a_recalled_batch_is_never_sent_even_if_it_arrives_after_the_recall(
    standin: Standin, sendgrid: SendGridMailer, first: str
) -> None:
    recalled, kept = new_fence(sendgrid), new_fence(sendgrid)
    if first == "post":
        post(sendgrid, recalled, "ann")
    assert sendgrid.recall(recalled)
    if first == "recall":
        post(sendgrid, recalled, "ann")
    post(sendgrid, kept, "bea")

    assert everyone_mailed(standin) == ["bea@example.com"]
    assert sum(standin.discarded().values()) == 1


def test_a_repeated_recall_succeeds(sendgrid: SendGridMailer) -> None:
    fence_id = new_fence(sendgrid)

    assert [sendgrid.recall(fence_id) for _ in range(3)] == [True] * 3


def test_a_recall_whose_answer_was_lost_succeeds_when_repeated(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    fence_id = new_fence(sendgrid)
    standin.push_fault("accept_then_500", path="/v3/user/scheduled_sends")
    with pytest.raises(Uncertain):
        sendgrid.recall(fence_id)

    assert sendgrid.recall(fence_id)


def test_a_recall_is_refused_when_all_slots_are_used(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.account(most_cancelled=1)
    first, second = new_fence(sendgrid), new_fence(sendgrid)
    assert sendgrid.recall(first)
    assert not sendgrid.recall(second)

    sendgrid.delete_fence(first)
    assert sendgrid.recall(second)


def test_a_fence_that_only_pauses_is_not_recalled(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    fence_id = new_fence(sendgrid)
    pause = orjson.dumps({"batch_id": fence_id, "status": "pause"})
    sendgrid._request("POST", "/v3/user/scheduled_sends", pause, success=201)

    assert not sendgrid.recall(fence_id)


def test_a_fence_can_be_deleted_any_number_of_times(sendgrid: SendGridMailer) -> None:
    fence_id = new_fence(sendgrid)
    sendgrid.recall(fence_id)
    sendgrid.delete_fence(fence_id)

    sendgrid.delete_fence(fence_id)


def test_every_list_is_read_in_pages(standin: Standin, sendgrid: SendGridMailer) -> None:
    many = [f"reader{number}@example.com" for number in range(PAGE_SIZE * 2 + 1)]
    standin.account(suppress={"bounces": many, "spam_reports": ["ed@example.com"]})

    pages = list(sendgrid.list_suppressions(LONG_AGO))
    assert [len(page) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 1, 1]
    assert sorted(one.address for page in pages[:3] for one in page) == sorted(many)
    assert (pages[3][0].address, pages[3][0].kind) == ("ed@example.com", "spam_reports")


def test_every_suppression_list_but_the_blocks_is_read(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    moment = int(time.time()) - 60
    item = {"email": "ann@example.com", "created": moment}
    standin.account(suppress={kind: [item] for kind in (*SUPPRESSION_LISTS, "blocks")})

    since = datetime.fromtimestamp(moment, UTC)
    found = [one for page in sendgrid.list_suppressions(since) for one in page]
    assert found == [
        ProviderSuppression("ann@example.com", kind, since) for kind in SUPPRESSION_LISTS
    ]


def test_only_newer_suppressions_are_read(standin: Standin, sendgrid: SendGridMailer) -> None:
    items = [{"email": f"reader{n}@example.com", "created": 1_700_000_000 + n} for n in range(4)]
    standin.account(suppress={"bounces": items})

    pages = list(sendgrid.list_suppressions(datetime.fromtimestamp(1_700_000_002, UTC)))
    assert sorted(one.address[:7] for page in pages for one in page) == ["reader2", "reader3"]


def test_a_key_without_permission_for_the_lists_raises_account_locked(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.account(key_revoked=True)

    with pytest.raises(AccountLocked):
        list(sendgrid.list_suppressions(LONG_AGO))
    with pytest.raises(AccountLocked):
        sendgrid.create_fence()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        *(("fence", said) for said in (b"<html>", b"[]", b"{}", b"null", b"\xff")),
        *(("lists", said) for said in (b"<html>", b'[{"email": "a@b.c"}]', b"null", b"[7]", b"{}")),
    ],
)
def test_an_unreadable_answer_is_uncertain(odd: Odd, what: str, said: bytes) -> None:
    odd.answer = (201 if what == "fence" else 200, {}, said)
    mailer = SendGridMailer("SG.key", odd.url, connections=1)
    with pytest.raises(Uncertain, match="answer"):
        mailer.create_fence() if what == "fence" else list(mailer.list_suppressions(LONG_AGO))


REQUESTS: dict[str, tuple[int, Callable[[SendGridMailer], object]]] = {
    "a fence is made": (201, lambda mailer: mailer.create_fence()),
    "a fence is recalled": (201, lambda mailer: mailer.recall("fence")),
    "a fence is deleted": (204, lambda mailer: mailer.delete_fence("fence")),
    "an address is suppressed": (201, lambda mailer: mailer.suppress(["a@example.com"])),
    "a suppression is lifted": (204, lambda mailer: mailer.unsuppress("a@example.com")),
    "the lists are read": (200, lambda mailer: list(mailer.list_suppressions(LONG_AGO))),
}


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_a_request_succeeded_with_its_documented_status_alone(
    odd: Odd, what: str, status: int
) -> None:
    """Else a page of a proxy would count as a recall, and the batch would be posted again."""
    documented, request = REQUESTS[what]
    body = b'{"batch_id": "fence"}' if what == "a fence is made" else b"[]"
    odd.answer = (status, {}, b"" if status == 204 else body)
    mailer = SendGridMailer("SG.key", odd.url, connections=1)

    with nullcontext() if status == documented else pytest.raises(Uncertain, match=str(status)):
        request(mailer)
