"""Pages: server-rendered, readable with `curl` and without scripts."""
