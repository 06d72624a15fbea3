"""store: the words of the house (values) and the shelves on which they are kept."""
