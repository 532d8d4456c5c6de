"""What is missing or wrong on this host: `autocoder check`."""
