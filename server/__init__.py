"""server: the doors. Ingest, pages, command line; the only room that puts the parts together."""
