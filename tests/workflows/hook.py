"""A customer's server that is told how leads end."""

from typing import Any

from aiohttp import web


class Hook:
    """A customer's server that answers with these statuses, one after the other, and then 200."""

    def __init__(self, *statuses: int) -> None:
        self.told: list[dict[str, Any]] = []
        self._statuses = list(statuses)

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        self.told.append(await request.json())
        return web.Response(status=self._statuses.pop(0) if self._statuses else 200)
