"""The demo's hands: our REST API and the simulator's control interface, over HTTP like anybody else's."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from breeze_buddy.cli.errors import DemoFailed

_TRY_EVERY_S = 0.5
_PATIENCE_S = 60.0
_PAGE = 200


class DemoClient:
    """Asks again while a server is away, for it is brought back; POSTs are made safe by request ids where needed.

    Raises DemoFailed with the server's own words when a request is refused.
    """

    def __init__(self, *, api_url: str, simulator_url: str, api_key: str | None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._api = httpx.AsyncClient(base_url=api_url, headers=headers, timeout=30, trust_env=False)
        self._simulator = httpx.AsyncClient(base_url=simulator_url, timeout=30, trust_env=False)

    async def close(self) -> None:
        await self._api.aclose()
        await self._simulator.aclose()

    async def introduce(self, people: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> None:
        """Let the simulator know who picks up, and which numbers are the account's."""
        await self._ask(self._simulator, "POST", "/simulator/people", list(people))
        await self._ask(self._simulator, "POST", "/simulator/numbers", list(numbers))

    async def simulator_summary(self) -> Any:
        return await self._ask(self._simulator, "GET", "/simulator/summary")

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._ask(self._api, "POST", path, body)

    async def put(self, path: str, body: Any) -> Any:
        return await self._ask(self._api, "PUT", path, body)

    async def get(self, path: str) -> Any:
        return await self._ask(self._api, "GET", path)

    async def leads_of(self, campaign_id: str) -> list[dict[str, Any]]:
        """All leads of the campaign, page by page."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            query = f"limit={_PAGE}" + (f"&after={after}" if after else "")
            page = await self.get(f"/campaigns/{campaign_id}/leads?{query}")
            found += page["items"]
            after = page.get("next")
            if after is None:
                return found

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                answer = await client.request(method, path, json=body)
            except httpx.TransportError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise DemoFailed(f"{client.base_url} does not answer: {error!r}") from error
                await asyncio.sleep(_TRY_EVERY_S)
                continue
            if answer.is_error:
                raise DemoFailed(f"{method} {answer.url} was refused with {answer.status_code}: {answer.text[:1000]}")
            return answer.json()
