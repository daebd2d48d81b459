"""What is refused before work is lost."""
