"""Data in COCO's format: made (shapes, labelme), loaded with labels by name, and checked."""
