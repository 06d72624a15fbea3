"""Durable work: what is to be done stands in the main database (`store.tasks`), where it stands in the engine's.

`engine` and what imports it pull in DBOS, which takes a second; `leases` does not.
"""
