"""Times as people and machines read them."""

from __future__ import annotations

import datetime


def iso_date(seconds: int) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat().replace("+00:00", "Z")
