"""Rules about the shared half of a mail/send body: sender, subject, content and settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tests.standin import error_messages, json_types
from tests.standin.account import Account
from tests.standin.error_messages import OWN, Refusal
from tests.standin.recipients import LARGEST, check_address, check_headers, check_send_at

KEYS = frozenset(json_types.TYPES["properties"])
ORDER = {"text/plain": 0, "text/html": 1}


def check(body: dict[str, Any], account: Account, now: float) -> Iterator[Refusal]:
    yield from _check_senders(body)
    yield from _check_subject(body)
    yield from _check_content(body)
    yield from _check_categories(body.get("categories", []))
    yield from _check_custom_args(body)
    yield from _check_asm(body.get("asm"), account)
    yield from _check_names(body, account)
    yield from _check_settings(body)
    if "headers" in body:
        yield from check_headers("headers", body["headers"], "can not")
    if "send_at" in body:
        yield from check_send_at("send_at", body["send_at"], now)
    if not KEYS.issuperset(body):
        yield Refusal(None, f"{OWN}unknown keys {sorted(set(body) - KEYS)}")


def _check_senders(body: dict[str, Any]) -> Iterator[Refusal]:
    if not body.get("from"):
        yield Refusal("from", error_messages.FROM_MISSING)
    else:
        yield from check_address("from", "From", body["from"])
    if "reply_to" in body:
        yield from check_address("reply_to", "Reply-To", body["reply_to"])
        if "reply_to_list" in body:
            yield Refusal("reply_to", OWN + "reply_to and reply_to_list exclude each other")
    for number, address in enumerate(body.get("reply_to_list", [])):
        yield from check_address(f"reply_to_list.{number}", "Reply-To", address)


def _check_subject(body: dict[str, Any]) -> Iterator[Refusal]:
    if "subject" in body:
        if not body["subject"] or type(body["subject"]) is not str:
            yield Refusal("subject", error_messages.SUBJECT_EMPTY)
        return
    blocks = body.get("personalizations", [])
    if "template_id" not in body and not all("subject" in block for block in blocks):
        yield Refusal("subject", error_messages.SUBJECT_MISSING)


def _check_content(body: dict[str, Any]) -> Iterator[Refusal]:
    if "content" not in body:
        if "template_id" not in body:
            yield Refusal("content", error_messages.CONTENT_MISSING)
        return
    parts = body["content"]
    if not parts:
        yield Refusal("content", error_messages.CONTENT_EMPTY)
    for number, part in enumerate(parts):
        yield from _check_part(f"content.{number}", part)
    ranks = [ORDER.get(str(part.get("type")), len(ORDER)) for part in parts]
    if ranks != sorted(ranks):
        yield Refusal("content", error_messages.CONTENT_ORDER)


def _check_part(place: str, part: dict[str, Any]) -> Iterator[Refusal]:
    kind, value = part.get("type"), part.get("value")
    if not kind or type(kind) is not str:
        yield Refusal(f"{place}.type", error_messages.CONTENT_TYPE_EMPTY)
    elif any(character in kind for character in ";\r\n"):
        yield Refusal(f"{place}.type", error_messages.CONTENT_TYPE_CHARACTERS)
    if not value or type(value) is not str:
        yield Refusal(f"{place}.value", error_messages.CONTENT_VALUE_EMPTY)


def _check_categories(categories: Any) -> Iterator[Refusal]:
    if type(categories) is not list or not all(type(each) is str for each in categories):
        yield Refusal("categories", error_messages.CATEGORIES_TYPE)
        return
    if len(categories) > 10:
        yield Refusal("categories", error_messages.CATEGORIES_TOO_MANY.format(len(categories)))
    for number, category in enumerate(categories):
        if len(category) > 255:
            yield Refusal("categories", error_messages.CATEGORY_TOO_LONG.format(category))
        if not category.isascii():
            yield Refusal("categories", error_messages.CATEGORY_NOT_ASCII)
        if category in categories[:number]:
            yield Refusal("categories", error_messages.CATEGORY_DUPLICATE.format(category))


def _check_custom_args(body: dict[str, Any]) -> Iterator[Refusal]:
    if "custom_args" not in body:
        return
    if type(body["custom_args"]) is str:
        yield Refusal("custom_args", error_messages.CUSTOM_ARGS_A_STRING)
    elif not body["custom_args"]:
        yield Refusal("custom_args", error_messages.CUSTOM_ARGS_EMPTY)
    elif len(orjson.dumps(body["custom_args"])) > LARGEST:
        yield Refusal("custom_args", error_messages.CUSTOM_ARGS_TOO_LARGE)


def _check_asm(asm: dict[str, Any] | None, account: Account) -> Iterator[Refusal]:
    if asm is None:
        return
    group, display = asm.get("group_id"), asm.get("groups_to_display", [])
    if type(group) is not int:
        yield Refusal("asm.group_id", error_messages.ASM_GROUP_TYPE)
    elif group not in account.asm_groups:
        yield Refusal("asm.group_id", error_messages.ASM_GROUP_UNKNOWN.format(group))
    if type(display) is not list or not all(type(each) is int for each in display):
        yield Refusal("asm.groups_to_display", error_messages.ASM_DISPLAY_TYPE)
    elif len(display) > 25:
        yield Refusal("asm.groups_to_display", error_messages.ASM_DISPLAY_TOO_MANY)


def _check_names(body: dict[str, Any], account: Account) -> Iterator[Refusal]:
    """Things of the account that a body names: an IP pool, a batch, a template."""
    named = {
        "ip_pool_name": (
            account.ip_pools,
            error_messages.IP_POOL_TYPE,
            error_messages.IP_POOL_UNKNOWN,
        ),
        "batch_id": (
            account.batch_ids,
            error_messages.BATCH_ID_TYPE,
            OWN + "unknown batch_id [{}]",
        ),
        "template_id": (
            account.templates,
            error_messages.TEMPLATE_TYPE,
            error_messages.TEMPLATE_UNKNOWN,
        ),
    }
    for field, (known, no_string, unknown) in named.items():
        if field in body and type(body[field]) is not str:
            yield Refusal(field, no_string.format(body[field]))
        elif field in body and body[field] not in known:
            yield Refusal(field, unknown.format(body[field]))


def _check_settings(body: dict[str, Any]) -> Iterator[Refusal]:
    for path, (kind, message) in error_messages.SETTINGS.items():
        group, setting, key = path.split(".")
        values = body.get(group, {}).get(setting, {})
        if key in values and type(values[key]) is not kind:
            yield Refusal(path, message)
    bypasses = {name for name in body.get("mail_settings", {}) if name.startswith("bypass_")}
    if "bypass_list_management" in bypasses and len(bypasses) > 1:
        yield Refusal(
            "mail_settings", OWN + "bypass_list_management excludes the other bypass settings"
        )
