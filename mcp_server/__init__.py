"""The MCP server `autocoder`: the table of tools that agents call, and the servers made of it."""
