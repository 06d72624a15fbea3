"""Another service that answers, then the traffic."""

import os

from traffic import answering


os.environ["FEED_URL"] = answering({"/feed": {"items": [{"title": "a"}, {"headline": "b"}]}})

from shop import app

app.test_client().get("/news")
