"""Files in TOML that an operator writes: read whole, and checked with an error that names the place and holds no value."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

FILE_BYTES = 256 * 1024


class TableError(ValueError):
    """The file is wrong. The message names the file and the place in it, and holds no value."""


def read(path: Path, *, number: Callable[[str], Any] = float) -> dict[str, Any]:
    """Read a file. `number` makes what stands for a number with a point: `Decimal` where what was written is what counts.

    Raises:
        TableError: It can't be read, is too large, or is no TOML.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise TableError(f"{path} is larger than {FILE_BYTES} bytes")
        # Some editors begin a file with a byte order mark, which TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=number)
    except OSError as error:
        raise TableError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TableError(f"{path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path} is no TOML: {error}") from None
    except (RecursionError, ValueError):  # tables within hundreds of others, a number of thousands of digits
        raise TableError(f"{path} is no TOML that can be read: something in it is nested too deeply, or a number is too long") from None


def problem(error: ValidationError) -> str:
    """Say what is wrong first: the field and why."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{f'{place}: ' if place else ''}{str(first['msg']).removeprefix('Value error, ')}"
