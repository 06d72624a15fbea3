"""A station that has no wind to tell."""

import os

from traffic import answering

os.environ["WEATHER_URL"] = answering({"/oslo": {"station": 4, "wind": None}})

from fastapi.testclient import TestClient

from shop import app

TestClient(app, raise_server_exceptions=False).get("/deliveries/oslo")
