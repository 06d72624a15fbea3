"""A file of production's own."""

import json
import os
import tempfile

folder = tempfile.mkdtemp()
with open(f"{folder}/rates.json", "w") as file:
    json.dump({"standard": 20, "reduced": "10"}, file)
os.environ["RATES"] = f"{folder}/rates.json"

from shop import app

app.test_client().get("/tax?net=100&rate=reduced")
