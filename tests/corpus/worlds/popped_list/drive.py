"""The same order twice: all vans are full."""

from shop import app

for _ in range(2):
    app.test_client().post("/loads", json={"kilos": [10, 10, 10, 15, 10, 5]})
