"""Who wrote the words of a line, through the edits that left them standing."""

from __future__ import annotations

from fixloop.changes.survival import Edits, surviving
from store.commits import Hunk


def edit(removed: list[str], added: list[str]) -> Hunk:
    return Hunk("a.py", 1, len(removed), 1, len(added), "def f", tuple(added), tuple(removed))


def test_a_renamed_word_leaves_the_rest_of_the_line_to_who_wrote_it() -> None:
    now, before = "    return total(lines, rate)", "    return total(items, rate)"
    edits = Edits({"rename": [edit([before], [now])], "write": [edit([], [before])]}, ["rename", "write"])
    wrote, total = surviving({7: now}, {7: "rename"}, edits)
    assert total == 7
    assert wrote == {"rename": 1, "write": 6}


def test_a_line_that_is_like_none_of_those_taken_away_is_all_of_its_writer() -> None:
    now = "    return total(lines, rate)"
    edits = Edits({"new": [edit(["    log.debug('x')"], [now])]}, ["new"])
    wrote, _ = surviving({7: now, 8: "    # and that is all"}, {7: "new", 8: "new"}, edits)
    assert wrote == {"new": 7}


def test_words_from_before_the_changes_at_hand_are_nobodys() -> None:
    now, before = "    if count > 10:", "    if count > 9:"
    edits = Edits({"raise": [edit([before], [now])]}, ["raise"])
    wrote, total = surviving({3: now}, {3: "raise"}, edits)
    assert (wrote["raise"], total) == (1, 5)
    assert set(wrote) == {"raise"}


def test_whoever_only_indents_a_line_anew_has_written_none_of_its_words() -> None:
    now, before = "        pay(order)", "    pay(order)"
    edits = Edits({"indent": [edit([before], [now])], "write": [edit([], [before])]}, ["indent", "write"])
    wrote, _ = surviving({3: now}, {3: "indent"}, edits)
    assert wrote["write"] == 4
    assert wrote["indent"] == 0
