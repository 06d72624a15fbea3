"""Objects are made again out of what the event shows, the least guessed first, and of nothing the sources do not have."""

from __future__ import annotations

from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.objects import Filler
from fixloop.reproduce.scene import Scene
from fixloop.reproduce.values import STAND_IN
from fixloop.reproduce.ways import Wanted, Way, cheapest, variable
from store.event import Frame

GRAPH = '''"""Graphs."""


class Graph:
    """A graph."""

    def __init__(self, edges=None, *, name=""):
        self.name = name
        self.edges = list(edges or ())

    def add_edge(self, edge):
        self.edges.append(edge)

    def add_edges(self, edges):
        self.edges += edges


class Walk:
    """A walk.

    Parameters
    ----------
    graph : Graph
        Where to walk.
    """

    def __init__(self, graph):
        self.graph = graph


class Tag(str):
    __slots__ = ("record",)


def within(*parts):
    return _Within(parts)


class _Within:
    def __init__(self, parts):
        self.parts = parts

    def __repr__(self):
        return f"within({self.parts})"


class Downloader:
    def __init__(self, params=None):
        self.params = params

    def run(self):
        return self.params.get("format") + self.params["ending"]


class Node:
    def __init__(self, parent: "Node" = None, owner: "Owner" = None):
        self.parent, self.owner = parent, owner


class Owner:
    def __init__(self, first: Node = None):
        self.first = first


shared = Graph()
'''


def catalogue() -> Catalogue:
    return Catalogue(
        lambda: {"net.graph": GRAPH, "examples.one": "from net.graph import Graph\n\nshown = Graph()\n"}
    )


def filler(*frames: dict[str, Any], at: int = -1, message: str = "") -> Filler:
    """A filler at the last frame; each frame is given by its locals."""
    known = catalogue()
    made = [Frame(function=f"f{i}", filename="a.py", vars=kept) for i, kept in enumerate(frames)]
    scene = Scene(made, len(made) + at, known.class_of, message)
    tree = known.tree("net.graph")
    return Filler(scene, known, "net.graph", (tree,) if tree else ())


def made(way: Way) -> dict[str, Any]:
    return way.objects[-1]


def test_a_constructors_argument_is_taken_from_what_another_frame_shows_by_that_name() -> None:
    ways = filler({"edges": [["'a'", "'b'"]]}, {}).ways("<net.graph.Graph object at 0x7f>", Wanted("g"))
    built = [
        made(way) for way in ways if way.objects and made(way).get("kwargs", {}).get("edges") == [["a", "b"]]
    ]
    assert built[0]["call"] == "net.graph.Graph"
    assert [way.cost for way in ways] == sorted(way.cost for way in ways)


def test_state_is_built_by_a_method_at_once_and_item_by_item() -> None:
    ways = filler({"roads": ["'a'", "'b'"]}, {}).ways("<net.graph.Graph object at 0x7f>", Wanted("g"))
    calls = [made(way)["calls"] for way in ways if way.objects]
    assert [["add_edges", [["a", "b"]], {}, False]] in calls
    assert [["add_edge", ["a"], {}, False], ["add_edge", ["b"], {}, False]] in calls


def test_an_instance_that_the_package_keeps_is_a_way_and_one_of_an_example_is_not() -> None:
    values = [way.value for way in filler({}).ways("<net.graph.Graph object at 0x7f>", Wanted("g"))]
    assert {"$name": "net.graph.shared"} in values
    assert "examples.one" not in repr(values)


def test_the_documentation_says_of_which_class_an_argument_is() -> None:
    ways = filler({}).ways("<net.graph.Walk object at 0x7f>", Wanted("walk"))
    first = next(way for way in ways if len(way.objects) == 2)
    assert [one["call"] for one in first.objects] == ["net.graph.Graph", "net.graph.Walk"]
    assert made(first)["args"] == [{"$ref": "graph"}]


def test_the_keys_that_the_code_looks_up_are_filled_with_what_callers_held() -> None:
    ways = filler({"rule": "'best'"}, {}).ways("<net.graph.Downloader object at 0x7f>", Wanted("d"))
    assert {"format": "best"} in [made(way).get("kwargs", {}).get("params") for way in ways if way.objects]


def test_what_the_message_quotes_is_a_value_that_is_tried() -> None:
    found = filler({}, {}, message="invalid literal for int() with base 10: '12a'")
    assert "12a" in [seen.value for seen in found.scene.pool]


def test_a_text_can_only_call_what_a_class_of_the_module_shows_as_its_repr() -> None:
    known = catalogue()
    assert known.makes("within", "net.graph") == "net.graph.within"
    assert known.makes("Graph", "net.graph") is None
    values = [way.value for way in filler({}).ways("rmtree('/')", Wanted("x"))]
    assert values == [{"$call": STAND_IN, "args": [], "kwargs": {}}]


def test_classes_that_each_take_the_other_are_made_with_one_of_them_inside() -> None:
    ways = filler({}).ways("<net.graph.Node object at 0x7f>", Wanted("node"))
    built = {tuple(one["call"] for one in way.objects) for way in ways}
    assert ("net.graph.Node",) in built
    assert ("net.graph.Node", "net.graph.Node") in built
    assert max(map(len, built)) <= 3


def test_a_stand_in_comes_last_and_says_so() -> None:
    ways = filler({}).ways("<other.Thing object at 0x7f>", Wanted("thing"))
    assert ways[-1].value["$call"] == STAND_IN
    assert "a stand-in" in ways[-1].notes[0]


def test_what_was_cut_is_its_beginning_and_what_was_redacted_is_looked_for_elsewhere() -> None:
    cut = filler({}).ways("'" + "x" * 2000 + "...", Wanted("body"))[0]
    assert (cut.value, cut.notes) == ("x" * 2000, ("body: only its first 2000 characters are in the event",))
    found = filler({"token": "'abc'"}, {"token": "[Filtered]"}).ways("[Filtered]", Wanted("token"))
    assert found[0].value == "abc"


def test_the_cheapest_ways_together_come_first() -> None:
    one, two = [Way("a", 0), Way("b", 5)], [Way("c", 1), Way("d", 2)]
    assert [tuple(way.value for way in ways) for ways in cheapest([one, two], 3)] == [
        ("a", "c"),
        ("a", "d"),
        ("b", "c"),
    ]
    assert list(cheapest([one, []], 3)) == []


def test_an_object_is_named_after_its_variable_and_never_after_its_class() -> None:
    assert variable("G", "DiGraph") == "g"
    assert variable("self", "SpanningTree") == "spanning_tree"
    assert variable("self", "engine") == "the_engine"
