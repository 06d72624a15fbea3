"""A process in a zone west of Greenwich."""

import os
import time

os.environ["TZ"] = "America/Los_Angeles"
time.tzset()

from shop import app

app.test_client().get("/opening")
