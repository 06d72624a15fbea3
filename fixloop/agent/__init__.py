"""A model that reads, asks for evidence and answers, within bounds."""
