"""The rules: for each goal one module, in which those of all ways to split traffic are read side by side."""
