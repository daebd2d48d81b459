"""What a detector costs: time of its stages, parameters, floating-point operations."""
