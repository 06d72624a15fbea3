"""The only way to a draft, and what becomes of it."""
