"""The questions in the form of a story: what was typed, and the answers that it makes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from nif.stories import answers
from nif.stories.answers import VALUES, Given, Question

NOW = "now"
"""What the tick "I have checked this text" sends when it is set for the first time. One that was
set before sends the fingerprint of the text that was checked, so that it does not move on."""

LONGEST = {
    "origin_by": 200,
    "relationship_sentences": 2000,
    "money_by": 200,
    "ai_tasks": 300,
    "ai_tools": 300,
}
MOST_SENTENCES = 12


@dataclass(frozen=True)
class AnswerForm:
    """The questions as they were answered, field by field; empty where they were not."""

    origin: str = ""
    origin_by: str = ""
    relationships: str = ""
    relationship_sentences: str = ""
    money: str = ""
    money_by: str = ""
    ai: str = ""
    ai_tasks: str = ""
    ai_tools: str = ""
    ai_checked: str = ""

    @property
    def sentences(self) -> list[str]:
        lines = (" ".join(line.split()) for line in self.relationship_sentences.split("\n"))
        return [line for line in lines if line]


NAMES = tuple(field.name for field in fields(AnswerForm))


def filled(given: Mapping[str, Any]) -> AnswerForm:
    """The form of answers that are on record."""
    found = {question: answers.read(given, question) for question in Question}
    values = {question.value: answer.value for question, answer in found.items() if answer}
    for question, answer in found.items():
        for name, detail in (answer.details if answer else {}).items():
            if name == "sentences":
                values["relationship_sentences"] = "\n".join(detail)
            elif f"{question.value}_{name}" in NAMES:
                values[f"{question.value}_{name}"] = str(detail)
    return AnswerForm(**values)


def without_old_tick(form: AnswerForm, fingerprint: str) -> AnswerForm:
    """The form to be shown beside a text: a tick that was set beside another one is off."""
    is_old = form.ai_checked not in ("", NOW, fingerprint)
    return replace(form, ai_checked="") if is_old else form


def problems(form: AnswerForm) -> Iterator[tuple[str, str]]:
    """What keeps the answers from being saved."""
    for question, values in VALUES.items():
        value = getattr(form, question.value)
        if value and value not in list(values):
            yield question.value, "Choose one of the answers."
    for name, most in LONGEST.items():
        if len(getattr(form, name).strip()) > most:
            yield name, f"Make this shorter: {most:,} characters are the most."
    if len(form.sentences) > MOST_SENTENCES:
        yield "relationship_sentences", f"{MOST_SENTENCES} sentences are the most."


def given(form: AnswerForm, fingerprint: str) -> dict[Question, Given]:
    """The answers that make sense in a form; `fingerprint` is that of the text beside them."""
    made: dict[Question, Given] = {}
    for question, values in VALUES.items():
        value = getattr(form, question.value)
        if value in list(values):
            made[question] = Given(value, _details(form, question, fingerprint))
    return made


def _details(form: AnswerForm, question: Question, fingerprint: str) -> dict[str, Any]:
    if question is Question.RELATIONSHIPS:
        told = form.sentences if form.relationships == answers.Relations.DECLARED else []
        return {"sentences": [_ended(sentence) for sentence in told]} if told else {}
    if question is Question.AI and form.ai not in answers.WROTE:
        return {}
    prefix = f"{question.value}_"
    details = {
        name.removeprefix(prefix): " ".join(getattr(form, name).split())
        for name in NAMES
        if name.startswith(prefix) and name != "relationship_sentences"
    }
    if details.get("checked") == NOW:
        details["checked"] = fingerprint
    return {name: detail for name, detail in details.items() if detail}


def _ended(sentence: str) -> str:
    """The sentence with an end."""
    return sentence if sentence[-1] in ".!?”" else f"{sentence}."
