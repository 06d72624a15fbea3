"""An entry that another version has written."""

import os

from traffic import redis_server

os.environ["REDIS_URL"] = redis_server()

from shop import app, client

client.set("seen:7", '[{"sku": "A-1", "at": 5}, {"sku": "B-2"}]')
app.test_client().get("/seen/7")
