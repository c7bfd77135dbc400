"""A post-call webhook's other end: answers 204 and counts the leads that it was told of."""

from aiohttp import web


class WebhookReceiver:
    """As an async context manager it listens on `url`."""

    def __init__(self) -> None:
        self.leads: set[str] = set()
        self.url = ""

    async def __aenter__(self) -> "WebhookReceiver":
        app = web.Application()
        app.router.add_post("/finished", self._finished)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/finished"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _finished(self, request: web.Request) -> web.Response:
        self.leads.add((await request.json())["lead"]["id"])
        return web.Response(status=204)
