"""Data in COCO's format: made (shapes, labelme) and loaded with labels by name."""
