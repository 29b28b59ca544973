"""Files that the bot sends."""

from __future__ import annotations

from aiohttp.web import FileField

from bot.platforms.budgets import TELEGRAM_FILE_BYTES
from sandbox.telegram.errors import ApiError, Json, bad
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.world import DOCUMENT_PREFIX, World

ATTACHED = "attach://"
MAX_NAME = 255
"""Longest name that is kept; assumed."""


def upload_of(parameters: Parameters, name: str) -> FileField:
    """Return the file that a parameter holds, or names as ``attach://field``.

    Raises:
        ApiError: There is none, it is empty or too large. A file known by its id or an address is not taken here.
    """
    upload = parameters.upload(name, ATTACHED)
    if upload is None:
        raise bad("there is no document in the request")
    upload.file.seek(0, 2)
    size = upload.file.tell()
    if not size:
        raise bad("file must be non-empty")
    if size > TELEGRAM_FILE_BYTES:
        raise ApiError(413, "Request Entity Too Large")
    return upload


def keep(world: World, upload: FileField) -> Json:
    """Store a file; return its Document object."""
    upload.file.seek(0)
    content = upload.file.read()
    unique = f"D{len(world.files)}"
    file_id = f"{DOCUMENT_PREFIX}{unique}"
    world.files[file_id] = content
    name = upload.filename.rpartition("/")[2][:MAX_NAME]
    return {"file_id": file_id, "file_unique_id": unique, "file_name": name, "mime_type": upload.content_type, "file_size": len(content)}
