"""What a detector costs and reaches: time, memory, parameters, operations, accuracy."""
