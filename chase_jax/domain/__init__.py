"""Static geometry: grid, drainage tree, lake patches, built once with NumPy."""
