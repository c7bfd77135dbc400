"""What flows ask of servers goes to the hosts that are allowed, and nowhere else; whatever goes wrong is no answer."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from breeze_buddy.activities.public_addresses import PrivateAddress, PublicResolver, check_public
from breeze_buddy.domain.flow import HttpRequest
from breeze_buddy.media.requests import HttpRequests

VALUES = {"order": "47/11 & more", "name": 'Ada "A"'}


class Shop:
    """A server that keeps what it was asked, and answers by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.released = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        match request.path.partition("/orders")[0]:
            case "/slow":
                await self.released.wait()
            case "/broken":
                return web.Response(status=500)
            case "/words":
                return web.Response(text="hello")
            case "/huge":
                return web.Response(text=json.dumps({"state": "x" * 300_000}))
            case "/moved":
                raise web.HTTPFound("/orders/1")
        order = {"state": "sent", "paid": True, "total": 12.5, "items": [{"name": "lamp"}], "note": None}
        return web.json_response({"order": order})


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[tuple[Shop, str]]:
    kept = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", kept.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    yield kept, f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    kept.released.set()
    await runner.cleanup()


def request(url: str, **more: Any) -> HttpRequest:
    save = {"state": "order.state", "paid": "order.paid", "total": "order.total", "first": "order.items.0.name"}
    save |= {"note": "order.note", "items": "order.items", "absent": "order.none.there"}
    return HttpRequest.model_validate({"url": url, "save": save, "go": "bye", **more})


async def test_fields_of_the_answer_become_answers(shop: tuple[Shop, str]) -> None:
    kept, host = shop
    requests = HttpRequests(f"api.example.com, {host}", allow_private=True)
    found = await requests.send(request(f"http://{host}/orders/{{order}}?by={{name}}"), VALUES, key="c/look")
    assert found == {"state": "sent", "paid": "yes", "total": "12.5", "first": "lamp"}
    ((method, path, _, body),) = kept.asked
    assert (method, path, body) == ("GET", "/orders/47%2F11%20%26%20more?by=Ada%20%22A%22", None)


async def test_a_post_carries_json_and_a_key_that_is_the_same_when_it_is_sent_again(shop: tuple[Shop, str]) -> None:
    kept, host = shop
    sent = request(
        f"http://{host}/orders",
        method="POST",
        headers={"X-Who": "{order}"},
        body={"who": "{name}", "n": [1, "{order}"]},
    )
    assert await HttpRequests(host, allow_private=True).send(sent, VALUES, key="c/book") is not None
    ((_, _, headers, body),) = kept.asked
    assert body == {"who": 'Ada "A"', "n": [1, "47/11 & more"]}
    assert (headers["Idempotency-Key"], headers["X-Who"]) == ("c/book", "47/11 & more")


@pytest.mark.parametrize("path", ["/broken/orders", "/words/orders", "/huge/orders", "/moved/orders", "/slow/orders"])
async def test_no_good_answer_is_no_answer(shop: tuple[Shop, str], path: str) -> None:
    kept, host = shop
    requests = HttpRequests(host, allow_private=True)
    assert await requests.send(request(f"http://{host}{path}", timeout_s=0.3), {}, key="c/look") is None
    assert len(kept.asked) == 1  # nothing is asked twice, and no redirect followed


async def test_a_header_cannot_be_broken_by_what_a_caller_says(shop: tuple[Shop, str]) -> None:
    kept, host = shop
    sent = request(f"http://{host}/orders", headers={"X-Who": "{name}"})
    assert await HttpRequests(host, allow_private=True).send(sent, {"name": "a\r\nb: c"}, key="c/look") is None
    assert kept.asked == []


@pytest.mark.parametrize("hosts", ["", "other.example", "127.0.0.1", "127.0.0.2:{port}", "*.0.0.1"])
async def test_hosts_that_are_not_allowed_are_not_asked(shop: tuple[Shop, str], hosts: str) -> None:
    kept, host = shop
    requests = HttpRequests(hosts.replace("{port}", host.partition(":")[2]), allow_private=True)
    assert await requests.send(request(f"http://{host}/orders"), {}, key="c/look") is None
    assert kept.asked == []


async def test_an_allowed_host_at_a_private_address_is_not_asked_either(shop: tuple[Shop, str]) -> None:
    kept, host = shop
    port = host.partition(":")[2]
    requests = HttpRequests(f"{host}, localhost:{port}", allow_private=False)
    for name in (host, f"localhost:{port}"):
        assert await requests.send(request(f"http://{name}/orders"), {}, key="c/look") is None
    assert kept.asked == []


async def test_a_host_that_is_not_there_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
        assert await HttpRequests(host, allow_private=True).send(request(f"http://{host}/"), {}, key="c/look") is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
async def test_private_addresses_are_told_in_every_form(host: str) -> None:
    with pytest.raises(PrivateAddress, match="HTTP_REQUEST_ALLOW_PRIVATE=true"):
        check_public(host, "HTTP_REQUEST_ALLOW_PRIVATE")
    resolver = PublicResolver("X")
    with pytest.raises(PrivateAddress):
        await resolver.resolve("localhost")
    await resolver.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "ftp://example.com/"}, "http://"),
        ({"url": "https://{host}/"}, "takes no {placeholders}"),
        ({"url": "https://me:secret@example.com/"}, "without a password"),
        ({"body": {"a": 1}}, "a GET has no body"),
        ({"headers": {"X Y": "1"}}, "not a header"),
        ({"save": {"x": "a..b"}}, "not a path"),
        ({"url": "https://example.com/{"}, "unbalanced"),
    ],
)
def test_requests_that_cannot_be_are_refused_with_the_template(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        request(**{"url": "https://example.com/", **wrong})
