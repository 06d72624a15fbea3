"""One incident as people, programs and assistants read it."""
