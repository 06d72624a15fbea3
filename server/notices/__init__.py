"""What is told to people and programs, where and when."""
