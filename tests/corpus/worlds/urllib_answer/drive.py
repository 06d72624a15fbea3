"""A branch that is closed on a day."""

import os

from traffic import answering

os.environ["BRANCHES_URL"] = answering({"/graz": {"days": {"monday": ["9", "18"], "sunday": []}}})

from shop import app

app.test_client().get("/hours/graz")
