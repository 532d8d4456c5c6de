"""What can be read, once: f(tx, …) gives a frozen value per noun; all who show read these."""
