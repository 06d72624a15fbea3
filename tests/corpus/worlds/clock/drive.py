"""A request on a day of its own."""

import datetime

import time_machine

from shop import app

with time_machine.travel(datetime.datetime(2028, 2, 29, 9, 30, tzinfo=datetime.timezone.utc), tick=False):
    app.test_client().get("/renewal")
