"""Another service that answers, then the traffic."""

import os

from traffic import answering


os.environ["ADDRESS_URL"] = answering({"/check": ["ok", "12345"]})
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()
from django.test import Client

Client(raise_request_exception=False).post("/ship", {"street": "Main 1"}, content_type="application/json")
