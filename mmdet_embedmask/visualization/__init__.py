"""Pictures for people: what a model sees and predicts."""
