"""What tests with providers share."""

from collections.abc import AsyncIterator

import pytest

from breeze_buddy.media.providers.connections import Connections


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    """Connections to vendors, closed when the test is over."""
    made = Connections()
    yield made
    await made.close()
