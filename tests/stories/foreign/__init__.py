"""A model and a client that were written from the contract alone."""
