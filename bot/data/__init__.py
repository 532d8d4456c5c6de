"""What a home holds, and what is copied, moved and told of it."""
