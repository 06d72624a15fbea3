"""A request that an event does not tell whole: its body as a frame shows it, and an application that starts."""

from __future__ import annotations

from typing import Any

from fixloop.reproduce.bodies import told_whole
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from store.event import Frame
from store.incident import CodeLocation

VIEW = """class Jobs:
    async def put(self, request):
        body = await request.json()
        return len(body["jobs"]) / 0
"""


def put(**inputs: Any) -> Recipe:
    target = {"framework": "starlette", "module": "gate", "attribute": "app", "factory": False}
    return Recipe(
        entry="http",
        repo="app",
        target=target,
        inputs={"method": "PUT", "path": "/jobs", "json": None, **inputs},
    )


def frames(**kept: Any) -> list[OwnFrame]:
    place = CodeLocation(
        repo="app", path="gate.py", line=4, function="put", commit="c", confidence=1.0, method="path"
    )
    frame = Frame(function="put", module="gate", filename="gate.py", lineno=4, in_app=True, vars=kept)
    return [OwnFrame(frame, place, "gate", VIEW, 0)]


def test_the_json_that_a_function_has_read_is_the_body_where_the_event_has_none() -> None:
    first, second = told_whole(put(), frames(body={"jobs": ["1"]}), "")
    assert first.inputs["json"] == {"jobs": [1]}
    assert first.guessed == ("the body: as put() shows it in body",)
    assert second == put()


def test_a_body_that_was_sent_is_left_as_it_is_and_a_local_of_another_name_is_none() -> None:
    sent = put(json={"jobs": []})
    assert list(told_whole(sent, frames(body={"jobs": ["1"]}), "")) == [sent]
    assert list(told_whole(put(), frames(found={"jobs": ["1"]}), "")) == [put()]


def test_an_application_with_something_to_do_at_its_start_is_tried_with_it_afterwards() -> None:
    first, second = told_whole(put(), [], "app = FastAPI(lifespan=lifespan)")
    assert "starts" not in first.target
    assert "with TestClient(app, raise_server_exceptions=False) as client:\n" in call_source(second)
