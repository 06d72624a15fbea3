"""Traffic until the draw that fails."""

import random

random.seed(4)

from shop import app

for _ in range(400):
    if app.test_client().get("/banner").status_code == 500:
        break
