"""Another service that answers, then the traffic."""

import os

from traffic import answering


os.environ["ADDRESS_URL"] = answering({"/check": ["ok", "12345"]})
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()
from traffic import request

request("/ship", {"street": "Main 1"})
