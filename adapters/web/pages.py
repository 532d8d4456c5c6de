"""The pages of the web chat."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

routes = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>autocoder</title>
<h1>autocoder</h1>
<p>The service works. Talk to it with <code>autocoder chat</code>, or over the API that
<a href="/api/openapi.json">/api/openapi.json</a> describes.</p>
</html>
"""


@routes.get("/")
async def index() -> HTMLResponse:
    return HTMLResponse(_PAGE)
