"""A flag that is on for some."""

from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

api.set_provider(InMemoryProvider({"layout": InMemoryFlag("on", {"on": "grid"})}))

from shop import app

app.test_client().get("/columns")
