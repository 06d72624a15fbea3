"""The rules of redaction, as the server has them: see write_rules.py."""
