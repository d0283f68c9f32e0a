"""Every short history of the attempts of one batch, tried on the beliefs of `nif.sends.evidence`.

What happens to an attempt follows `nif.sends.outcomes`; whether its mail left is known only here.
A batch is posted again where it is believed that nobody was mailed. Then nobody may have been; two
mails that left are called TWICE as soon as both are known, and MAILED means exactly one.
"""

from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from nif.sends import evidence
from nif.sends.evidence import AttemptResult, BatchBelief

FINAL = (AttemptResult.ACCEPTED, AttemptResult.RECALLED)
UNCLEAR = (AttemptResult.UNCERTAIN, AttemptResult.RECALLING)


@dataclass(frozen=True)
class TrueAttempt:
    """An attempt as it is: `left` says whether the provider took it and did not drop it later.

    `was_misjudged`: a person or silence said that it had not left, and it had.
    """

    left: bool
    is_fenced: bool
    result: AttemptResult | None = None
    is_reported: bool = False
    was_misjudged: bool = False

    def next_ones(self) -> dict[str, "TrueAttempt"]:
        """All that can happen to it next, by name."""
        found = {"events come in": replace(self, is_reported=True)} if self._has_events() else {}
        if self.result is None and self.left:
            found["it is accepted"] = replace(self, result=AttemptResult.ACCEPTED)
        if self.result is None and not self.left:
            found["it is refused"] = replace(self, result=AttemptResult.REFUSED)
        if self.result is None:
            found["its answer is lost"] = replace(self, result=AttemptResult.UNCERTAIN)
        if self.result in UNCLEAR:
            released = replace(self, result=AttemptResult.NOT_ACCEPTED, was_misjudged=self.left)
            found["it is called not accepted"] = released
            recalled = replace(self, left=False, result=AttemptResult.RECALLED)
            found |= {"it is recalled": recalled} if self.is_fenced else {}
        if self.result is AttemptResult.UNCERTAIN and self.is_fenced:
            found["its recall begins"] = replace(self, result=AttemptResult.RECALLING)
        return found

    def _has_events(self) -> bool:
        """A recalled attempt that the provider took has events too: it is dropped."""
        was_taken = self.left or self.result is AttemptResult.RECALLED
        return was_taken and not self.is_reported


@dataclass
class BatchSearch:
    """All histories of up to `length` steps: how many were tried, and which failed."""

    length: int
    rules: ModuleType = evidence
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def try_all(self) -> dict[str, Any]:
        self._go_on((), ())
        failed = {"failed": len(self.failures), "first": self.failures[:1]}
        return {"proof": "batches", "length": self.length, "histories": self.tried, **failed}

    def _go_on(self, attempts: tuple[TrueAttempt, ...], names: tuple[str, ...]) -> None:
        self.tried += 1
        belief = self._belief_about(attempts)
        self._judge(attempts, belief, names)
        if len(names) == self.length:
            return
        for number, attempt in enumerate(attempts):
            for name, changed in attempt.next_ones().items():
                others = (*attempts[:number], changed, *attempts[number + 1 :])
                self._go_on(others, (*names, f"{number + 1}: {name}"))
        if belief == BatchBelief.NOT_MAILED:
            for left in (False, True):
                for is_fenced in (False, True):
                    posted = TrueAttempt(left, is_fenced)
                    self._go_on((*attempts, posted), (*names, f"posted, and it left: {left}"))

    def _belief_about(self, attempts: tuple[TrueAttempt, ...]) -> Any:
        return self.rules.believe_batch(
            self.rules.believe(attempt.result, is_reported=attempt.is_reported)
            for attempt in attempts
        )

    def _judge(
        self, attempts: tuple[TrueAttempt, ...], belief: Any, names: tuple[str, ...]
    ) -> None:
        hidden = [one for one in attempts if one.was_misjudged and not one.is_reported]
        known = sum(attempt.left for attempt in attempts) - len(hidden)
        known_twice = sum(
            one.left and (one.is_reported or one.result == AttemptResult.ACCEPTED)
            for one in attempts
        )
        is_wrong = (
            (belief == BatchBelief.NOT_MAILED and known > 0)
            or (belief == BatchBelief.MAILED and known != 1)
            or ((belief == BatchBelief.TWICE) != (known_twice > 1))
        )
        if is_wrong:
            self.failures.append(f"{belief}, and {known} left: {', then '.join(names)}")
