"""Another service that answers, then the traffic."""

import os

from traffic import answering


os.environ["RATES_URL"] = answering({"/rates": {"base": "EUR", "rates": {"USD": 1.09}}})

from fastapi.testclient import TestClient

from shop import app

TestClient(app, raise_server_exceptions=False).post("/convert", json={"amount": 12, "to": "CHF"})
