"""A repair, from the record of the house to the loop and back."""
