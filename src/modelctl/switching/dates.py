"""Times as people and machines read them."""

from __future__ import annotations

import datetime as dt


def iso_date(seconds: int) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")


def now() -> str:
    """This instant as ISO 8601 in UTC, with milliseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
