"""A stage on SQLite and on PostgreSQL."""

import pytest

from breeze_buddy.store.database import Database
from tests.store.stage import Stage


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)
