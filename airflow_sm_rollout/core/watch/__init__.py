"""What watches green, and what it makes of it."""
