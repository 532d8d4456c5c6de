"""MCP servers made of the tools table."""

from collections.abc import Sequence
from typing import Any

from claude_agent_sdk import SdkMcpTool, ToolAnnotations, create_sdk_mcp_server
from claude_agent_sdk.types import McpSdkServerConfig

from core.ports.agents import TOOL_SERVER, CallTool, Tool


def agent_server(tools: Sequence[Tool], call: CallTool) -> McpSdkServerConfig:
    """The server for one agent, in this process; each use of a tool goes through `call`."""
    return create_sdk_mcp_server(TOOL_SERVER, tools=[_sdk_tool(tool, call) for tool in tools])


def _sdk_tool(tool: Tool, call: CallTool) -> SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        reply = await call(tool, arguments)
        block = {"type": "text", "text": reply.text}
        return {"content": [block], "is_error": reply.refused}

    return SdkMcpTool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.schema),
        handler=handle,
        annotations=ToolAnnotations(readOnlyHint=True) if tool.read_only else None,
    )
