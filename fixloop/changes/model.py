"""The learned weights: what each feature counts, and how likely each change is beside all the others.

A linear score with a softmax over the candidates of one incident (a conditional logit): few numbers, each of which can
be read in `weights.json`. `python -m bench.train_causes` learns them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from math import exp
from pathlib import Path
from typing import TypeVar

TRACE, FUNCTIONS = "trace", "functions"
_FILE = Path(__file__).with_name("weights.json")


@cache
def weights(kind: str) -> Mapping[str, float]:
    """Feature -> weight, the learned ones and the few that are set by hand because no labelled case shows them. There
    are two sets: a failing line says other things than the names of the functions at fault."""
    kept = json.loads(_FILE.read_text("utf-8"))
    return {**kept[kind], **kept["set_by_hand"]}


def raw(vector: Mapping[str, float], kind: str) -> float:
    """The score of one change: only differences between changes of one incident mean something."""
    weighs = weights(kind)
    return sum(weighs.get(name, 0.0) * value for name, value in vector.items())


Key = TypeVar("Key")


def shares(table: Mapping[Key, Mapping[str, float]], kind: str) -> dict[Key, float]:
    """Change -> how likely it is, by the model, that it is the cause; they add up to one."""
    scores = {key: raw(vector, kind) for key, vector in table.items()}
    top = max(scores.values(), default=0.0)
    powers = {key: exp(score - top) for key, score in scores.items()}
    total = sum(powers.values())
    return {key: power / total for key, power in powers.items()}
