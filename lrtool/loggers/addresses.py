"""Addresses of loggers: what is one, and whether a server is there (in seconds, where libraries try for minutes)."""

from __future__ import annotations

import urllib.error
import urllib.request

#: Seconds that a server may take to answer anything.
_PATIENCE = 5.0


def is_address(uri: str) -> bool:
    """Whether this is more than a folder.

    >>> is_address("http://host:5000"), is_address("databricks"), is_address("sqlite:///a.db"), is_address("my runs")
    (True, True, True, False)
    """
    return "://" in uri or uri.partition(":")[0] in ("databricks", "databricks-uc", "uc", "sqlite", "file")


def check_server(url: str) -> None:
    """Raise ConnectionError where nothing answers at an address; any answer will do, even a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE):
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(f"its server {url} is away ({reason})") from None
    except Exception as error:  # what is no HTTP is no server of ours
        raise ConnectionError(f"what answers at {url} is no web server ({type(error).__name__})") from None
