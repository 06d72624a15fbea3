"""Which of the changes that the running release contains may have caused this? Ranked from the trace, with reasons."""
