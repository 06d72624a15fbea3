"""Compressed bodies of any size come out whole, a step at a time."""

from __future__ import annotations

import random

import brotli
import pytest

from server.http.bodies import DECODERS

STEP = 64 << 10


@pytest.mark.parametrize("size", [0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP, 3 * STEP + 7, 1 << 20])
@pytest.mark.parametrize("quality", [1, 4, 9])
def test_a_brotli_body_comes_out_whole_whatever_its_size(size: int, quality: int) -> None:
    chance = random.Random(size)  # noqa: S311 - the same texts in each run
    for text in (
        b"ab" * (size // 2 + 1),
        bytes(chance.choices(b'{}":, abcdef', k=size)),
        chance.randbytes(size),
    ):
        packed = brotli.compress(text[:size], quality=quality)
        assert b"".join(DECODERS["br"](packed)) == text[:size]
