"""The terminal as a place to talk: what is shown, what is asked."""
