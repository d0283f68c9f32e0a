"""What the answers of a story say in its block: what there is, and what there is not."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from nif.media.models import AiUse as PictureAi
from nif.media.models import Picture
from nif.stories import answers
from nif.stories.answers import AiUse, Answer, Money, Origin, Question, Relations
from nif.stories.sentences import Sentence

ORIGINS = {
    Origin.PITCHED: "It was pitched to us by {by}. We promised nothing in return.",
    Origin.PRESS_RELEASE: "The idea came from a press release by {by}.",
    Origin.COMMERCIAL: "The idea came from our commercial team. The newsroom decided to run it and "
    "had final say.",
    Origin.OWNER: "The idea came from our owner. The newsroom decided to run it and had final say.",
}

AI = {
    AiUse.ASSISTED: "AI was used for {tasks} ({tools}).",
    AiUse.GENERATED: "AI wrote the first version of this story ({tools}).",
}

PICTURES = {
    PictureAi.GENERATED: "AI made",
    PictureAi.ASSISTED: "AI was used to make",
}

NOTHING = {
    (Question.MONEY, Money.NONE): "nobody paid for this story",
    (Question.RELATIONSHIPS, Relations.NONE): "we know of no relationship with anyone in it",
    (Question.AI, AiUse.NONE): "no generative AI was used to make it",
}


def declared(given: Mapping[str, Any], on_record: Sequence[str]) -> Iterator[Sentence]:
    """The sentences that follow from what was answered, in the order of the block.

    `on_record` is what the register tells of the parties in the story.
    """
    if (origin := answers.read(given, Question.ORIGIN)) and (said := _origin(origin)):
        yield Sentence("origin", said)
    related = answers.read(given, Question.RELATIONSHIPS)
    told = related.details.get("sentences", ()) if related else ()
    for said in dict.fromkeys([*on_record, *told]):
        yield Sentence("relationship", said)
    money = answers.read(given, Question.MONEY)
    if money and money.value == Money.GRANT and (payer := money.details.get("by")):
        text = f"{payer} supported this story with a grant and had no say over it."
        yield Sentence("money", text)
    if (ai := answers.read(given, Question.AI)) and (said := _ai(ai)):
        yield Sentence("ai", said)


def of_pictures(pictures: Collection[Picture]) -> Iterator[Sentence]:
    """What AI made of what a story shows; the credit says with which tools."""
    for use, done in PICTURES.items():
        found = [one for one in pictures if one.ai_use is use]
        if found:
            many = "a picture" if len(found) == 1 else f"{len(found)} pictures"
            credits = listed(list(dict.fromkeys(one.credit for one in found)))
            yield Sentence("ai", f"{done} {many} in this story ({credits}).")


def what_there_is_not(
    given: Mapping[str, Any], on_record: Sequence[str], *, shows_ai: bool = False
) -> Iterator[Sentence]:
    """One line of what there is not: of that only what was affirmed, and what no record denies.

    `shows_ai` is whether AI had a part in one of its pictures.
    """
    denied = {Question.RELATIONSHIPS: bool(on_record), Question.AI: shows_ai}
    found = [answers.read(given, question) for question, _ in NOTHING]
    clauses = [
        clause
        for (clause_key, clause), answer in zip(NOTHING.items(), found, strict=True)
        if answer and answer.value == clause_key[1]
        if not denied.get(clause_key[0])
    ]
    if clauses:
        text = listed(clauses)
        yield Sentence("negatives", f"{text[0].upper()}{text[1:]}.")


def listed(names: Sequence[str]) -> str:
    """A, B, and C: with the comma before "and" where there are three or more."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def _origin(answer: Answer) -> str:
    template = ORIGINS.get(Origin(answer.value))
    if template is None or ("{by}" in template and not answer.details.get("by")):
        return ""
    return template.format(by=answer.details.get("by"))


def _ai(answer: Answer) -> str:
    use, details = AiUse(answer.value), answer.details
    if use not in AI:
        return ""
    used = AI[use].format(tasks=details.get("tasks", ""), tools=details.get("tools", ""))
    return f"{used} {answer.by} checked the result and is responsible for it."
