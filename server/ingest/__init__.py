"""The doors that events come in by: who sends, how much, and what is answered."""
