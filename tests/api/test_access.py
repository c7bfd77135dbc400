"""Who may use the API, whether it is well, and what it says of itself."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from sqlalchemy import func, select
from starlette.routing import Mount, Route

from breeze_buddy.api.server import UnsafeListening, check_listening, serve
from breeze_buddy.settings import PREFIX
from breeze_buddy.store.schema import metadata
from tests.api.house import House, settings_for

KEY = "a-long-secret"


@pytest.fixture
def settings() -> Any:
    return settings_for(api_key=KEY, recordings_url="memory://recordings")


@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {KEY}", KEY, "Bearer", f"Bearer {KEY}x", "Bearer kéy"])
async def test_nothing_is_read_without_the_key(house: House, given: str | None) -> None:
    headers = {"Authorization": given.encode("utf-8")} if given is not None else {}
    for path in ("/templates", "/numbers", "/campaigns", "/leads", "/calls/x", "/campaigns/x/progress"):
        answer = await house.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "API_KEY" in answer.json()["message"]


async def test_nothing_is_written_without_the_key(house: House) -> None:
    body = {"phone": "+14155550001"}
    assert (await house.post("/numbers", body)).status_code == 401
    key = {"Authorization": f"Bearer {KEY}"}
    assert (await house.get("/numbers", headers=key)).json() == []
    assert (await house.post("/numbers", body, headers=key)).status_code == 201


# Whoever adds a route that needs neither key nor signature says so here.
PUBLIC = {
    ("GET", f"{PREFIX}/health"),
    ("GET", f"{PREFIX}/docs"),
    ("GET", f"{PREFIX}/docs/oauth2-redirect"),
    ("GET", f"{PREFIX}/openapi.json"),
    ("HEAD", f"{PREFIX}/openapi.json"),
    # Music, which Twilio fetches as any file.
    ("GET", "/twilio/callback/transfer/hold-music.wav"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def routes(router: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path of an application, also those that its document does not tell of."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes(inner, prefix + route.include_context.prefix)
        elif not isinstance(route, Mount):
            assert isinstance(route, Route), f"{route!r} needs a test of its own"
            yield from ((method, prefix + route.path) for method in route.methods or ())


async def test_every_route_refuses_who_has_neither_key_nor_signature(house: House) -> None:
    told = {(method.upper(), path) for path, method, _ in operations(await openapi(house))}
    every = set(routes(house.app))
    assert every - told == PUBLIC - {("GET", f"{PREFIX}/health")}
    assert told <= every
    assert len(every) > 60
    before = await rows(house)
    for method, path in sorted(every | {(method, path) for _, path in every for method in METHODS}):
        answer = await house.plain(method, re.sub(r"{\w+}", "x", path))
        if (method, path) in PUBLIC:
            expected = {200}
        elif (method, path) in every:
            expected = {403} if path.startswith("/twilio/") else {401}
        else:
            expected = {401, 405}  # the last part of a path can be read as an id
        assert answer.status_code in expected, (method, path, answer.text)
    assert await rows(house) == before


async def rows(house: House) -> int:
    async with house.database.read() as tx:
        return sum([await tx.scalar(select(func.count()).select_from(t)) or 0 for t in metadata.sorted_tables])


async def test_only_the_assets_of_the_documentation_are_mounted(house: House) -> None:
    mounted = [route.path for route in house.app.routes if isinstance(route, Mount)]
    assert mounted == [f"{PREFIX}/docs-assets"]


async def test_health_needs_no_key_and_tells_of_both(house: House) -> None:
    answer = await house.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "temporal": "ok"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "api.example.com", ""])
async def test_the_api_does_not_listen_to_the_world_without_a_key(host: str) -> None:
    open_to_all = settings_for(api_host=host)
    with pytest.raises(UnsafeListening, match="API_KEY"):
        check_listening(open_to_all)
    with pytest.raises(UnsafeListening):
        await serve(open_to_all)
    check_listening(settings_for(api_host=host, api_key=KEY))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_the_api_listens_to_its_own_machine_without_a_key(host: str) -> None:
    check_listening(settings_for(api_host=host))


async def openapi(house: House) -> Any:
    answer = await house.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref" and isinstance(value, str))
        part = list(part.values())
    if isinstance(part, list):
        for piece in part:
            yield from references(piece)


async def test_the_api_describes_itself_validly(house: House) -> None:
    document = await openapi(house)
    assert document["openapi"].startswith("3.1")
    assert set(document["info"]) >= {"title", "version", "description"}
    known = document["components"]["schemas"]
    for schema in known.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for target in references(document):
        assert target.startswith("#/"), target
        found = document
        for name in target.removeprefix("#/").split("/"):
            found = found[name]
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for path, _, operation in operations(document):
        named = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert operation["responses"]


async def test_every_route_says_what_it_is_for(house: House) -> None:
    document = await openapi(house)
    silent = [
        f"{method} {path}"
        for path, method, operation in operations(document)
        if not operation.get("description", "").strip()
    ]
    assert silent == []


async def test_refusals_are_described_as_they_are(house: House) -> None:
    """The shape of a 422 in the document is the shape that is sent."""
    document = await openapi(house)
    key = {"Authorization": f"Bearer {KEY}"}
    sent = (await house.post("/numbers", {"phone": "1"}, headers=key)).json()
    described = document["paths"][f"{PREFIX}/numbers"]["post"]["responses"]["422"]["content"]["application/json"]
    schema = {**described["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(sent)


async def test_the_documentation_page_is_there(house: House) -> None:
    assert (await house.get("/docs")).status_code == 200
