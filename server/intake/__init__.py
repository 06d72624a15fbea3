"""From a body to rows: parse, redact, group, record."""
