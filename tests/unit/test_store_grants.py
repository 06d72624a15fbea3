"""Codes and refresh tokens when several bring them at once, and what is forgotten when."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from server.house import House
from store import grants
from store.errors import NotFound
from store.grants import GRACE, Pair, Refusal
from store.people import Client, Scope

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VERIFIER = "v" * 64
CLIENT = Client(id="c", name="C", redirect_uris=("http://127.0.0.1/callback",))


def code(house: House, lifetime: timedelta = timedelta(hours=8), now: datetime = NOW) -> str:
    hashed = hashlib.sha256(VERIFIER.encode()).digest()
    return grants.open_grant(
        house.database,
        CLIENT,
        None,
        scopes=[Scope.READ],
        audience="/mcp",
        lifetime=lifetime,
        redirect_uri=CLIENT.redirect_uris[0],
        challenge=base64.urlsafe_b64encode(hashed).rstrip(b"=").decode(),
        now=now,
    )


def redeemed(house: House, given: str, now: datetime = NOW) -> Pair | Refusal:
    return grants.redeem(
        house.database, given, CLIENT.id, verifier=VERIFIER, redirect_uri=None, audience=None, now=now
    )


def renewed(house: House, given: str, now: datetime = NOW) -> Pair | Refusal:
    return grants.renew(house.database, given, CLIENT.id, scopes=None, audience=None, now=now)


def test_of_many_who_bring_one_code_one_is_first_and_all_it_got_is_taken_back(house: House) -> None:
    given = code(house)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: redeemed(house, given), range(8)))
    pairs = [outcome for outcome in outcomes if isinstance(outcome, Pair)]
    assert len(pairs) == 1
    assert {outcome for outcome in outcomes if isinstance(outcome, Refusal)} == {Refusal.REPLAYED}
    assert grants.access(house.database, pairs[0].access, NOW) is None


def test_many_who_refresh_at_the_same_moment_each_get_a_pair_that_works(house: House) -> None:
    first = redeemed(house, code(house))
    assert isinstance(first, Pair)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: renewed(house, first.refresh), range(8)))
    pairs = [outcome for outcome in outcomes if isinstance(outcome, Pair)]
    assert len({pair.access for pair in pairs}) == 8
    assert all(grants.access(house.database, pair.access, NOW) for pair in pairs)


def test_the_grace_counts_from_the_first_use_and_is_not_prolonged(house: House) -> None:
    first = redeemed(house, code(house))
    assert isinstance(first, Pair)
    assert isinstance(renewed(house, first.refresh), Pair)
    assert isinstance(renewed(house, first.refresh, NOW + GRACE - timedelta(seconds=1)), Pair)
    assert renewed(house, first.refresh, NOW + GRACE) is Refusal.REPLAYED
    assert renewed(house, first.refresh, NOW + GRACE) is Refusal.ENDED


def test_a_token_of_one_kind_is_not_taken_for_the_other(house: House) -> None:
    first = redeemed(house, code(house))
    assert isinstance(first, Pair)
    assert grants.access(house.database, first.refresh, NOW) is None
    assert renewed(house, first.access) is Refusal.UNKNOWN


def test_what_ended_a_month_ago_and_what_was_never_fetched_is_forgotten(house: House) -> None:
    redeemed(house, code(house))
    code(house)
    assert len(grants.grants(house.database)) == 1
    redeemed(house, code(house, now=NOW + timedelta(days=20)), NOW + timedelta(days=20))
    assert len(grants.grants(house.database)) == 2
    code(house, now=NOW + timedelta(days=31))
    (left,) = grants.grants(house.database)
    assert left.created_at == NOW + timedelta(days=20)
    with pytest.raises(NotFound, match="nightdesk grants list"):
        grants.revoke_grant(house.database, "nothing", NOW)
