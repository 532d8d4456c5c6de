"""The terminal as a chat platform: cards as lines, lines as words and presses."""
