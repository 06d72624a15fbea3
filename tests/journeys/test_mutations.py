"""Spoiled requests and bombs through the public doors: refused in words or taken, never a failure of ours."""

from __future__ import annotations

import resource
import time
from itertools import islice

import pytest

from server.app import make_app
from server.house import House
from tests.journeys.mutations import bombs, captures, spoiled
from tests.journeys.test_ingest_http import client, secret

CASES = 250
SECONDS = 10.0  # in which each is answered, on a busy machine


@pytest.mark.anyio
async def test_no_spoiled_capture_makes_the_doors_fail_or_hang(house: House) -> None:
    answers: dict[int, int] = {}
    async with client(make_app(house)) as http:
        for sent in islice(spoiled(3), CASES):
            start = time.monotonic()
            answer = await http.post(sent.path, content=sent.body, headers={**sent.headers, "x-nightdesk-key": secret(house), "authorization": f"Bearer {secret(house)}"}, params={"sentry_key": secret(house)})  # fmt: skip
            answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (sent.path, sent.headers, sent.body[:2000])
            assert time.monotonic() - start < SECONDS, (sent.path, sent.body[:2000])
    assert set(answers) <= {200, 201, 400, 401, 403, 413, 415}
    assert answers.get(200, 0) > 0
    assert answers.get(400, 0) > 0


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_bomb_is_refused_while_it_inflates(house: House, encoding: str) -> None:
    bomb = bombs()[encoding]
    assert len(bomb.body) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with client(make_app(house)) as http:
        answer = await http.post(
            bomb.path, content=bomb.body, headers=bomb.headers, params={"sentry_key": secret(house)}
        )
    assert answer.status_code == 413
    assert "detail" in answer.json()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10  # kilobytes


@pytest.mark.anyio
async def test_every_capture_as_it_was_sent_is_taken(house: House) -> None:
    key = secret(house)
    async with client(make_app(house)) as http:
        for sent in captures():
            headers = {**sent.headers, "x-nightdesk-key": key, "authorization": f"Bearer {key}", "x-api-key": key,
                       "x-rollbar-access-token": key, "bugsnag-api-key": key}  # fmt: skip
            answer = await http.post(
                sent.path, content=sent.body, headers=headers, params={"sentry_key": key}
            )
            empty = sent.path == "/ingest/1" and b"arbitrary" in sent.body[:20]
            assert answer.status_code in ((400,) if empty else (200, 201)), (sent.path, answer.text)
