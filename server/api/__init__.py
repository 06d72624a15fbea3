"""server.api: JSON for scripts under `/api/v1`, from one table of endpoints that is documentation, too."""
