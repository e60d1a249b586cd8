from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def texts(news):
    """Documents, some without words or without known words."""
    return [*news[2][::5], "", "Zzz qqq xxyzzy.", "One. Two. A goal in the market!"]
