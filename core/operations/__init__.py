"""What can be done: plain functions over one transaction, `f(tx, …, now=…)`."""
