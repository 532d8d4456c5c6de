"""Our own tools, offered to the CLI in-process (CONTRACT.md §4)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from claude_agent_sdk import SdkMcpTool, ToolAnnotations, create_sdk_mcp_server
from claude_agent_sdk.types import McpSdkServerConfig

from core.errors import AutocoderError
from core.ports.agents import Tool, ToolCall, ToolReply

SERVER = "autocoder"
PREFIX = f"mcp__{SERVER}__"

Call = Callable[[Tool, Mapping[str, object]], Awaitable[ToolReply]]


def tool_server(tools: Sequence[Tool], call: Call) -> McpSdkServerConfig:
    """The MCP server `autocoder` with these tools; each use goes through `call`."""
    return create_sdk_mcp_server(SERVER, tools=[_sdk_tool(tool, call) for tool in tools])


async def answer(tool: Tool, process_id: str, arguments: Mapping[str, object]) -> ToolReply:
    """What the tool says; an error of ours becomes a refusal in its own words."""
    try:
        return await tool.handler(ToolCall(process_id, arguments))
    except AutocoderError as error:
        return ToolReply(f"{error} {error.hint}".strip(), refused=True)


def _sdk_tool(tool: Tool, call: Call) -> SdkMcpTool[Any]:
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
