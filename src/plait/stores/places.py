"""Where a server is, in words that hold no password."""

from __future__ import annotations

from urllib.parse import urlsplit


def place_of(url: str, port: int) -> str:
    """Return host and port of a store's address.

    Args:
        port: The one that such servers have by default.

    >>> place_of("postgresql://ann:s3cret@db.example/plait", 5432)
    'db.example:5432'
    """
    try:
        place = urlsplit(url).netloc.rpartition("@")[2] or "localhost"
    except ValueError:
        return "an address that cannot be read"
    has_port = place.rpartition(":")[2].isdigit()
    return place if has_port else f"{place}:{port}"
