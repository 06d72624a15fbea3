"""A row with a value that the code does not know."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

import django

django.setup()
from django.core.management import call_command
from traffic import request

call_command("migrate", run_syncdb=True, verbosity=0)
from stock.models import Item

Item.objects.create(pk=5, unit="crate", size=4)
Item.objects.create(pk=6, unit="piece", size=1)
request("/items")
