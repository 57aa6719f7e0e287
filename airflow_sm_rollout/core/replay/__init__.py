"""What the comparison would have said of the past."""
