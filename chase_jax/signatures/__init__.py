"""Signatures of gauged basins, and the regression that carries them to every cell of a map."""
