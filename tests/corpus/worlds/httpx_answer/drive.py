"""Another service that answers, then the traffic."""

import os

from traffic import answering


os.environ["STOCK_URL"] = answering({"/stock/A-7": {"sku": "A-7", "levels": {"north": 3, "south": None}}})

from shop import app

app.test_client().get("/availability/A-7")
