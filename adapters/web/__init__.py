"""The local web chat and the REST API (CONTRACT.md §3)."""
