"""The tools of the MCP server `autocoder`: what an agent may tell us."""
