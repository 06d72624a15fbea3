"""What the house knows of the team's code and of what the team has written."""
