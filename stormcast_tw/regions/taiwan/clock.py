"""The time that Taiwan lives by."""

from datetime import timedelta, timezone

TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")
"""UTC+8 all year round since 1980."""
