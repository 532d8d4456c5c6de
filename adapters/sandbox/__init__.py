"""The sandbox: one profile for agents, checks and setup."""
