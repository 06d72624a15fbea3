"""A line of a report that has no pieces."""

import os

from traffic import answering

os.environ["REPORTS_URL"] = answering({"/may": {"lines": [{"cents": 100, "pieces": 2}, {"cents": 0, "pieces": 0}]}})

from shop import app

app.test_client().get("/reports/may")
