"""An answer that was redacted where it was read, so that the door lets it out as it is.

Looking through a megabyte takes so long that whoever presses a button meanwhile would notice.
"""

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

CLEAN = "autocoder.clean"  # in the message that starts an answer


class Clean(Response):
    """JSON that holds no secret."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message[CLEAN] = True
            await send(message)

        await super().__call__(scope, receive, marked)
