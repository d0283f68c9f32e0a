"""All blueprints: the map of the site."""

from collections.abc import Iterator

from flask import Blueprint

from nif.web.admin import lists as admin_lists
from nif.web.admin import sends as admin_sends
from nif.web.api import health, sendgrid_events
from nif.web.newsroom import publishing as newsroom_publishing
from nif.web.newsroom import reports as newsroom_reports
from nif.web.newsroom import revising as newsroom_revising
from nif.web.newsroom import stories as newsroom_stories
from nif.web.public import (
    corrections,
    history,
    home,
    newsletters,
    outbox,
    preferences,
    reports,
    stories,
    subscribe,
    unsubscribe,
)


def blueprints(*, outbox_is_open: bool) -> Iterator[Blueprint]:
    """Every door; the outbox only where mail stays in it."""
    for module in (
        home,
        stories,
        history,
        corrections,
        newsletters,
        subscribe,
        unsubscribe,
        preferences,
        reports,
    ):
        yield module.blueprint
    for module in (newsroom_stories, newsroom_publishing, newsroom_revising, newsroom_reports):
        yield module.blueprint
    for module in (admin_lists, admin_sends, health, sendgrid_events):
        yield module.blueprint
    if outbox_is_open:
        yield outbox.blueprint
