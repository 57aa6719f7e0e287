"""What the sandbox needs and gives: memory over a long time, and invocations a second."""
