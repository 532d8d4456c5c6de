"""The local web chat and the REST API."""
