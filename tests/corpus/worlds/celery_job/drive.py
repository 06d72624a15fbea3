"""A job for somebody without a title."""

from shop import letter

letter.apply(args=[{"id": 4, "people": [{"name": "Ada Byron", "title": "Countess"}, {"name": "Bo"}]}])
