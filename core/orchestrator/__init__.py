"""Carrying out: orders become agents, proofs, landings. Woken by commits, never polling."""
