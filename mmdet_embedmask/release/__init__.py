"""From a training run to a folder that others can load, check and compare."""
