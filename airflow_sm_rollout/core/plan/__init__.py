"""What the user asks for: the steps, and by what green is judged."""
