"""Where drafts are opened; see `fixloop.Forge`."""
