"""The stand-in as a process: what it logs, counts and serves to the tests that start it."""

from __future__ import annotations

import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import urllib3

from tests.standin.client import Standin
from tests.standin.conftest import Post, Webhook
from tests.standin.sample_mail import mail, reader
from tests.standin.scanner import links, one_click, scan


def test_an_acceptance_is_logged_before_the_answer(standin: Standin, post: Post) -> None:
    answer = post(mail(reader(1), reader(2)))

    record = list(standin.accepted())[-1]

    assert answer.status == 202
    assert answer.data == b""
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert len(answer.headers["X-Message-Id"]) == 22
    assert record["message_id"] == answer.headers["X-Message-Id"]
    assert (record["attempt"], record["edition"], record["transactional"]) == ("0a" * 16, "1", None)
    assert record["deliveries"] == [["1", "reader1@example.com"], ["2", "reader2@example.com"]]


def test_a_transactional_email_is_logged_with_its_id(standin: Standin, post: Post) -> None:
    post(mail({"to": [{"email": "ann@example.com"}], "custom_args": {"nif_l": "7"}}))

    record = list(standin.accepted())[-1]

    assert record["transactional"] == "7"
    assert record["deliveries"] == [[None, "ann@example.com"]]


def test_the_log_counts_acceptances_and_is_read_again_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    with Standin("--check", "light", log=log) as standin:
        answer = post_once(standin)
        stats = standin.stats()
        standin.stop()
        standin.stop()

    with log.open("ab") as file:
        file.write(b'{"half a line')

    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert b"Connection: close\r\n" in answer
    assert standin.recipients() == Counter({"reader1@example.com": 1, "reader2@example.com": 1})
    assert standin.deliveries() == Counter({"1": 1, "2": 1})
    assert (stats["requests"], stats["accepted_requests"], stats["recipients"]) == (1, 1, 2)


def post_once(standin: Standin) -> bytes:
    """A chunked request that asks for the connection to be closed, as bytes."""
    body = orjson.dumps(mail(reader(1), reader(2)))
    head = (
        "POST /v3/mail/send HTTP/1.1\r\nHost: standin\r\nConnection: close\r\n"
        f"Authorization: Bearer {standin.api_key}\r\nContent-Type: application/json\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n"
    )
    port = int(standin.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + body + b"\r\n0\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_connections_are_kept_and_counted(standin: Standin, post: Post) -> None:
    before = standin.stats()
    for number in range(5):
        post(mail(reader(number)))
    after = standin.stats()

    assert after["requests"] - before["requests"] == 5
    assert after["connections"] - before["connections"] <= 1


def test_refusals_are_counted_by_status(standin: Standin, post: Post) -> None:
    post(mail(subject=""))

    assert standin.stats()["refusals"]["400"] >= 1


def test_many_clients_post_at_once(standin: Standin, post: Post) -> None:
    before = standin.stats()["recipients"]
    bodies = [mail(reader(1000 + number)) for number in range(40)]

    with ThreadPoolExecutor(8) as threads:
        statuses = {answer.status for answer in threads.map(post, bodies)}

    assert statuses == {202}
    assert standin.stats()["recipients"] == before + 40


def test_the_account_can_be_changed_while_the_stand_in_runs(standin: Standin, post: Post) -> None:
    standin.account(credits=0)
    refused = post(mail()).status
    standin.account(credits=None)

    assert (refused, post(mail()).status) == (401, 202)


def test_a_scanner_opens_every_link_and_a_provider_unsubscribes(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    link = f"{webhook.url}/unsubscribe/token?a=1&b=2"
    one = reader(77)
    one["headers"]["List-Unsubscribe"] = f"<{link}>"
    one["substitutions"]["%nif.unsubscribe%"] = link
    post(mail(one))
    (received,) = standin.mails("reader77@example.com")

    visits = scan(received, webhook.url)
    plain, multipart = one_click(received), one_click(received, multipart=True)

    assert links(received)[0] == link
    assert [visit.method for visit in visits] == ["HEAD", "GET"]
    assert (plain.status, multipart.status) == (204, 204)
    (*_scans, (method, path, _headers, body), (*_request, form)) = webhook.requests
    assert (method, path) == ("POST", "/unsubscribe/token?a=1&b=2")
    assert body == b"List-Unsubscribe=One-Click"
    assert b'name="List-Unsubscribe"\r\n\r\nOne-Click\r\n' in form


def told_of(webhook: Webhook, *deliveries: str) -> list[tuple[str, int]]:
    """Delivery and send_at of the processed events; earlier tests left some of others."""
    return [
        (event["nif_d"], event["send_at"])
        for event in webhook.events()
        if event["event"] == "processed" and event.get("nif_d") in deliveries
    ]


def test_scheduled_mail_is_sent_at_its_time_unless_it_is_cancelled(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    standin.account(batch_ids=["kept", "stopped"], cancel_margin=0.5)
    standin.emit_to(webhook.url, interval=0.02)
    send_at = int(time.time()) + 2
    for number, batch_id in enumerate(["kept", "stopped"], 501):
        post(mail(reader(number), batch_id=batch_id, send_at=send_at))
    stop = {"batch_id": "stopped", "status": "cancel"}
    headers = {"Authorization": f"Bearer {standin.api_key}"}
    with urllib3.PoolManager(retries=False) as http:
        url = f"{standin.url}/v3/user/scheduled_sends"
        assert http.request("POST", url, json=stop, headers=headers).status == 201
    before = told_of(webhook, "501", "502")
    standin.wait_until_sent()
    standin.wait_for_events()

    assert (before, time.time() >= send_at) == ([], True)
    assert told_of(webhook, "501", "502") == [("501", send_at)]
    assert "502" not in standin.deliveries()
    assert standin.deliveries()["501"] == 1
    assert standin.discarded() == Counter({"502": 1})
    assert "reader502@example.com" not in standin.recipients()
    assert [note["cancelled"] for note in standin.notes()] == ["stopped"]
