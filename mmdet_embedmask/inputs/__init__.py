"""Which images, and how they are read."""
