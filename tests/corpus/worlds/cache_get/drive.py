"""An entry that an older version has put into the cache."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()
from django.core.cache import cache
from traffic import request

request("/basket/1")
cache.set("basket:9", ["A-1", "A-2"])
request("/basket/9")
