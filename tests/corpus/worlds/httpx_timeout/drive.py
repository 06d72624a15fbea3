"""The other service is not there."""

import os

os.environ["PRICE_URL"] = "http://127.0.0.1:9"

from shop import app

app.test_client().get("/price/4")
