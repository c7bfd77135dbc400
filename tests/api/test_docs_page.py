"""The documentation page as a person opens it, on a machine without a network."""

import re

from breeze_buddy.settings import PREFIX
from tests.api.house import House


async def test_the_documentation_page_loads_everything_from_us(house: House) -> None:
    page = await house.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 3
    for address in loaded:
        assert address.startswith(PREFIX), f"the page loads {address} from somewhere else"
        assert (await house.get(address.removeprefix(PREFIX))).status_code == 200
    assert f"{PREFIX}/openapi.json" in page.text
