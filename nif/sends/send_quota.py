"""How fast NIF may mail: a rate, a daily limit and a warm-up, shared by all workers."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, lock_row

WARM_UP_FIRST_HOUR = 20
WARM_UP_GROWTH = 1.4
"""SendGrid's own warm-up of a new IP address: 20 mails an hour on the first day and two fifths more
on each following day, so 579 on the eleventh and 484,000 on the thirty-first."""

WARM_UP_DAYS = 41

_ROW_ID = 1


@dataclass(frozen=True)
class SendLimits:
    """The limits from the settings; None is no limit. Days and hours are those of UTC."""

    per_second: float | None = None
    per_day: int | None = None
    warm_up_from: date | None = None

    def per_hour(self, day: date) -> int | None:
        """The hourly limit of the warm-up on a day; None once it is over, or where there is none.

        Nothing is mailed before the day on which it begins.
        """
        if self.warm_up_from is None:
            return None
        age = (day - self.warm_up_from).days
        if age < 0:
            return 0
        return None if age > WARM_UP_DAYS else round(WARM_UP_FIRST_HOUR * WARM_UP_GROWTH**age)

    @property
    def longest_pause(self) -> timedelta:
        """No batch has to wait longer for the one before it: one mail, or what a second allows."""
        return timedelta(seconds=max(1.0, 1 / self.per_second if self.per_second else 0.0))

    def apply(self, day: date) -> bool:
        """Does any limit apply on this day?"""
        limits = (self.per_second, self.per_day, self.per_hour(day))
        return any(limit is not None for limit in limits)


NO_SEND_LIMITS = SendLimits()


class SendQuota(Base):
    """How much was mailed in the current hour and day, and when the next batch may go."""

    __tablename__ = "send_quota"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    available_at: Mapped[datetime]
    hour_start: Mapped[datetime]
    used_in_hour: Mapped[int]
    day_start: Mapped[datetime]
    used_in_day: Mapped[int]


@dataclass(frozen=True)
class QuotaAllowance:
    """How many copies may be mailed now; where none may, when to try again."""

    copies: int
    retry_at: datetime


def take_send_quota(
    session: Session, limits: SendLimits, wanted: int, *, now: datetime
) -> QuotaAllowance:
    """Take up to `wanted` copies out of the quota that all workers share."""
    if not limits.apply(now.astimezone(UTC).date()):
        return QuotaAllowance(wanted, now)
    quota = _lock_current_quota(session, now)
    if now < quota.available_at <= now + limits.longest_pause:
        return QuotaAllowance(0, quota.available_at)
    allowance = _quota_allowance(quota, limits, wanted)
    quota.used_in_hour += allowance.copies
    quota.used_in_day += allowance.copies
    if limits.per_second:
        quota.available_at = now + timedelta(seconds=allowance.copies / limits.per_second)
    return allowance


def return_send_quota(session: Session, copies: int, taken_at: datetime, *, now: datetime) -> None:
    """Return copies that were not mailed to the hour and the day they were taken from."""
    if session.scalar(select(SendQuota.id)) is None:
        return
    quota = _lock_current_quota(session, now)
    if taken_at >= quota.hour_start:
        quota.used_in_hour = max(0, quota.used_in_hour - copies)
    if taken_at >= quota.day_start:
        quota.used_in_day = max(0, quota.used_in_day - copies)


def _quota_allowance(quota: SendQuota, limits: SendLimits, wanted: int) -> QuotaAllowance:
    copies, retry_at = wanted, quota.available_at
    if limits.per_second is not None:
        copies = min(copies, max(1, int(limits.per_second)))
    hourly = limits.per_hour(quota.hour_start.date())
    windows = (
        (hourly, quota.used_in_hour, quota.hour_start + timedelta(hours=1)),
        (limits.per_day, quota.used_in_day, quota.day_start + timedelta(days=1)),
    )
    for limit, used, ends_at in windows:
        if limit is not None and limit - used < copies:
            copies, retry_at = max(0, limit - used), ends_at
    return QuotaAllowance(copies, retry_at)


def _lock_current_quota(session: Session, now: datetime) -> SendQuota:
    """The quota, locked, moved on to the hour and day of `now`."""
    now = now.astimezone(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    values = {"available_at": now, "hour_start": hour, "day_start": day}
    unused = {"used_in_hour": 0, "used_in_day": 0}
    quota = lock_row(session, SendQuota, _ROW_ID, id=_ROW_ID, **values, **unused)
    if quota.hour_start < hour:
        quota.hour_start, quota.used_in_hour = hour, 0
    if quota.day_start < day:
        quota.day_start, quota.used_in_day = day, 0
    # The clock was set back: what was mailed still counts, but no longer than an hour, or a day.
    quota.hour_start, quota.day_start = min(quota.hour_start, hour), min(quota.day_start, day)
    return quota
