"""The token of a stream: ours, for one call, for a while."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from breeze_buddy.domain.stream_token import InvalidStreamToken, StreamToken

NOW = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)
SECRET = "s" * 64
TOKEN = StreamToken(token_id="t1", call_id="c1", lead_id="l1")
LATER = NOW + timedelta(minutes=15)


def test_a_token_says_whose_call_it_is_for():
    assert StreamToken.read(TOKEN.sign(secret=SECRET, expires_at=LATER), secret=SECRET, now=NOW) == TOKEN


def test_a_token_fits_a_stream_parameter():
    long = StreamToken(token_id="t" * 36, call_id="c" * 36, lead_id="l" * 36)
    assert len("token" + long.sign(secret=SECRET, expires_at=LATER)) < 500


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (0, False), (1, False)])
def test_a_token_expires_to_the_second(seconds, taken):
    text = TOKEN.sign(secret=SECRET, expires_at=LATER)
    at = LATER + timedelta(seconds=seconds)
    if taken:
        assert StreamToken.read(text, secret=SECRET, now=at) == TOKEN
        return
    with pytest.raises(InvalidStreamToken, match="expired"):
        StreamToken.read(text, secret=SECRET, now=at)


def test_another_secret_is_refused():
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(TOKEN.sign(secret="x" * 64, expires_at=LATER), secret=SECRET, now=NOW)


def test_any_altered_character_is_refused():
    text = TOKEN.sign(secret=SECRET, expires_at=LATER)
    header_and_claims, signature = text.rsplit(".", 1)
    for place in range(len(header_and_claims)):
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(InvalidStreamToken):
            StreamToken.read(text[:place] + other + text[place + 1 :], secret=SECRET, now=NOW)
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(header_and_claims + "." + signature[::-1], secret=SECRET, now=NOW)


CLAIMS = {"jti": "t1", "sub": "c1", "lead": "l1", "aud": "stream", "exp": int(LATER.timestamp())}


@pytest.mark.parametrize("left_out", sorted(CLAIMS))
def test_a_token_that_lacks_a_claim_is_refused(left_out):
    claims = {name: value for name, value in CLAIMS.items() if name != left_out}
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(jwt.encode(claims, SECRET, algorithm="HS256"), secret=SECRET, now=NOW)


def test_a_token_for_something_else_is_refused():
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(jwt.encode({**CLAIMS, "aud": "webhook"}, SECRET, algorithm="HS256"), secret=SECRET, now=NOW)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", jwt.encode(CLAIMS, "", algorithm="none")])
def test_what_is_not_signed_is_refused(text):
    with pytest.raises(InvalidStreamToken) as caught:
        StreamToken.read(text, secret=SECRET, now=NOW)
    assert caught.value.code == "invalid_stream_token"
