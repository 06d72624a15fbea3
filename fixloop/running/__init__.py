"""The team's code at chosen commits, and calls made in it."""
