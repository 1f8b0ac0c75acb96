"""Reads the body of a REST call: JSON, or multipart with `payload_json` and uploaded files.

Called by the REST routes.
"""

import json
from typing import Any

from aiohttp import web

from omega.testing.discord.refusals import invalid_form
from omega.testing.discord.state import State

Json = dict[str, Any]


async def read_any(request: web.Request) -> Any:
    """Read a JSON body of any shape.

    Raises:
        Refusal: the body is no JSON.
    """
    try:
        return json.loads(await request.read() or b"{}")
    except ValueError:
        raise invalid_form([("body", "The body is no JSON.")]) from None


async def read_message(request: web.Request, state: State) -> Json:
    """Read the body of a message, keeping uploaded files and pointing embeds at them."""
    if request.content_type != "multipart/form-data":
        plain = await read_any(request)
        return plain if isinstance(plain, dict) else {}
    body: Json = {}
    uploads: list[Json] = []
    async for part in await request.multipart():
        name = getattr(part, "name", None) or ""
        if name == "payload_json":
            body = json.loads(await part.text())  # type: ignore[union-attr]  # the form of discord.py is flat
        elif name.startswith("files["):
            data = await part.read(decode=False)  # type: ignore[union-attr]  # as above
            uploads.append(_keep(state, request.host, str(part.filename), bytes(data)))  # type: ignore[union-attr]
    if uploads:
        message = body["data"] if "data" in body and "type" in body else body
        message["attachments"] = uploads
        _point(message, {f"attachment://{one['filename']}": one["url"] for one in uploads})
    return dict(body)


def _keep(state: State, host: str, filename: str, data: bytes) -> Json:
    number = state.clock.snowflake()
    path = f"/cdn/attachments/{number}/{filename}"
    state.files[path] = data
    url = f"http://{host}{path}"
    return {"id": number, "filename": filename, "size": len(data), "url": url, "proxy_url": url}


def _point(message: Json, urls: dict[str, str]) -> None:
    for embed in message.get("embeds") or []:
        for key in ("image", "thumbnail"):
            if (picture := embed.get(key)) and picture.get("url") in urls:
                picture["url"] = urls[picture["url"]]
