"""An entry that an older version has put into the cache."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()
from django.core.cache import cache
from django.test import Client

cache.set("basket:9", ["A-1", "A-2"])
Client(raise_request_exception=False).get("/basket/9")
