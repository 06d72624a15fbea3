"""Templates with a policy: each names where its answer comes from, and proposes nothing where the code states none."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

from fixloop.blocks import unified
from fixloop.fixers import FixCase, beside, calls, catching, forms, keys, meanwhile, nothing
from fixloop.fixers.crash import Crash, Proposal, Template
from store.repair import Patch

log = logging.getLogger("nightdesk.fixers")

MOST = 12  # patches for one crash: each is judged
TEMPLATES: tuple[Template, ...] = (
    nothing.keep_both, nothing.none_from_producer, nothing.none_operand, keys.missing_key, keys.moved_key,
    nothing.empty_collection, nothing.no_value_yet, nothing.zero_division, calls.arguments, calls.missing_await,
    calls.moved_name, calls.misspelt, forms.other_encoding, forms.naive_time, forms.other_kind,
    calls.as_siblings_call, beside.converted, beside.guarded, beside.under_its_condition, beside.refused,
    beside.answered, beside.none_attribute, catching.caught_too, catching.falls_back, catching.refused_too,
    meanwhile.changed_while_read, meanwhile.acts_at_once, meanwhile.shared_temporary, meanwhile.without_lock,
)  # fmt: skip


class RuleFixer:
    """The templates, each with its mined policy."""

    name = "rules"

    def propose(self, case: FixCase) -> Sequence[Patch]:
        """At most a dozen patches, one for each place and policy, in the order of the templates."""
        return tuple(patch_of(case, one) for one in proposals(case))


def proposals(case: FixCase) -> tuple[Proposal, ...]:
    """What the templates say, the same text once, at most a dozen."""
    crash = Crash.of(case)
    found: dict[tuple[str, str, str], Proposal] = {}
    for one in (each for template in TEMPLATES for each in _proposals(template, crash)) if crash else ():
        key = (one.repo, one.path, one.new)
        if key not in found or one.places > found[key].places:
            found[key] = one
    return tuple(islice(found.values(), MOST))


def _proposals(template: Template, crash: Crash) -> Iterator[Proposal]:
    """What a template says; one that stumbles over code of a form it has never seen keeps no other from its patch."""
    try:
        yield from template(crash)
    except Exception:
        log.exception("The template %s failed.", template.__name__)


def patch_of(case: FixCase, one: Proposal) -> Patch:
    """A proposal as a patch."""
    return Patch(
        diffs={one.repo: unified({one.path: one.old}, {one.path: one.new})},
        base_commits={one.repo: case.bench.layout.repo(one.repo).commit},
        files=(one.path,), fixer="rules", kind="template", rationale=one.why,
    )  # fmt: skip
