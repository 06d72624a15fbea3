"""What assistants speak: few tools, small answers."""
