"""A variable that is set in production."""

import os

os.environ["PAGE_SIZE"] = "0"

from shop import app

app.test_client().get("/pages?items=30")
