"""Every short history of an attempt and of a batch, and that the search notices wrong rules."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from nif.sends import evidence
from tests.prove.attempt_histories import Search
from tests.prove.batch_histories import BatchSearch

LENGTH = 3

WRONG_RULES = {
    "a post that was turned away does not count": (
        "if any(lost_at >= first_event for lost_at in stream.lost_posts)",
        "if False",
    ),
    "a canary that went unheard does not count": ("if CanaryFate.LOST in fates", "if False"),
    "a canary may be heard of at any time": (
        "if lag <= timing.heard_within else CanaryFate.LOST",
        "if lag else CanaryFate.LOST",
    ),
    "canaries may be far apart": ("pairwise([due_since, *heard])", "pairwise(heard[:1])"),
    "the first canary may come late": ("pairwise([due_since, *heard])", "pairwise(heard)"),
    "a waiting post does not count": ("if stream.has_unread or not heard", "if not heard"),
    "the quiet period is half as long": (
        "<= timing.quiet_period:\n        return Silence.TOO_EARLY",
        "<= timing.quiet_period / 3:\n        return Silence.TOO_EARLY",
    ),
    "an event does not settle": (
        "**dict.fromkeys(BELIEF_WITHOUT_EVENT, Belief.LEFT)",
        "**BELIEF_WITHOUT_EVENT",
    ),
    "silence that is no proof releases": (
        "if silence is Silence.PROOF",
        "if silence is not Silence.TOO_EARLY",
    ),
    "nothing is ever released": ("if silence is Silence.PROOF", "if False"),
    "an uncertain attempt did not leave": (
        "AttemptResult.UNCERTAIN: Belief.UNKNOWN",
        "AttemptResult.UNCERTAIN: Belief.DID_NOT_LEAVE",
    ),
    "an open attempt did not leave": ("None: Belief.UNKNOWN", "None: Belief.DID_NOT_LEAVE"),
    "an attempt that is being recalled did not leave": (
        "AttemptResult.RECALLING: Belief.UNKNOWN",
        "AttemptResult.RECALLING: Belief.DID_NOT_LEAVE",
    ),
    "a recalled attempt with events left": (
        '    AttemptResult.RECALLED: Belief.DID_NOT_LEAVE,\n}\n"""Once',
        '    AttemptResult.RECALLED: Belief.LEFT,\n}\n"""Once',
    ),
    "two mails that left are one": ("if beliefs.count(Belief.LEFT) > 1", "if False"),
    "what is unknown is ignored": ("if Belief.UNKNOWN in beliefs", "if False"),
}


def changed_rules(old: str, new: str) -> ModuleType:
    """The module of rules with a change in its source."""
    source = Path(evidence.__file__).read_text()
    assert source.count(old) == 1, old
    module = ModuleType("changed_rules")
    sys.modules[module.__name__] = module
    exec(compile(source.replace(old, new), "changed_rules", "exec"), module.__dict__)
    return module


def test_no_short_history_of_an_attempt_releases_what_left() -> None:
    found = Search(LENGTH).try_all()

    assert (found["failed"], found["first"]) == (0, [])
    assert found["histories"] > 3000


def test_no_short_history_of_a_batch_is_believed_wrongly() -> None:
    found = BatchSearch(9).try_all()

    assert (found["failed"], found["first"]) == (0, [])
    assert found["histories"] > 3000


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_wrong_rule_is_noticed(name: str) -> None:
    rules = changed_rules(*WRONG_RULES[name])

    searches = Search(2, rules), BatchSearch(4, rules), Search(3, rules), BatchSearch(6, rules)

    assert any(search.try_all()["failed"] for search in searches)
