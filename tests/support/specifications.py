"""The platforms' machine-readable specifications, and what in a call or its answer does not follow them.

Every check returns its complaints as a list of sentences; an empty one means that all is well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.web import FileField
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER = "PLATFORM_SPECS"
"""The environment variable that names the folder of both files. They are no part of the project."""
DISCORD_FILE, TELEGRAM_FILE = "discord-openapi.json", "telegram-bot-api-10.3.json"
HOME = "urn:specification"
"""Name under which the document refers to itself."""


def discord_specification() -> DiscordSpecification:
    """Return Discord's; without the folder the test is skipped."""
    return DiscordSpecification(_document(DISCORD_FILE))


def telegram_specification() -> TelegramSpecification:
    """Return Telegram's; without the folder the test is skipped."""
    return TelegramSpecification(_document(TELEGRAM_FILE))


def _document(name: str) -> dict[str, Any]:
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"{FOLDER} does not name the folder of the platforms' specifications")
    document: dict[str, Any] = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    return document


FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


class DiscordSpecification:
    """Discord's OpenAPI document.

    It leaves its objects open. Here one that lists its properties takes no others, or a misspelt field would go unnoticed.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        _mend(document["components"]["schemas"])
        _close(document, _extended(document))
        self._paths: dict[str, Any] = document["paths"]
        # Literal segments before placeholders: `@original` is also a value that `{message_id}` could take.
        self._templates = sorted(self._paths, key=lambda path: [segment.startswith("{") for segment in path.split("/")])
        self._registry: Registry[Any] = Registry().with_resource(HOME, DRAFT202012.create_resource(document))
        self._document = document

    def template(self, method: str, path: str) -> str | None:
        """Return the path as the specification has it, None if it does not have it with this method."""
        return next((item for item in self._templates if _values(item, path) is not None and method.lower() in self._paths[item]), None)

    def request(self, method: str, path: str, query: Mapping[str, str], body: Any) -> list[str]:
        """Check a request; `path` is relative to the API's base address."""
        template = self.template(method, path)
        if template is None:
            return [f"{method} {path}: there is no such route"]
        operation = self._paths[template][method.lower()]
        content = operation.get("requestBody", {}).get("content", {})
        strangers: list[str] = []
        if isinstance(body, dict) and "payload_json" in body:  # a form: the fields are the same, beside them stand the files
            files = content.get("multipart/form-data", {}).get("schema", {}).get("allOf", [{}])[-1].get("properties", {})
            strangers = [f"unknown field {name}" for name in body if name != "payload_json" and name not in files]
            body = json.loads(body["payload_json"])
        complaints = [*self._parameters(template, operation, _values(template, path) or {}, query)]
        complaints += strangers
        schema = content.get("application/json")
        place = f"{_pointer('paths', template, method.lower())}/requestBody/content/application~1json/schema"
        if schema is not None and (body is not None or operation["requestBody"].get("required")):
            complaints += self._fits(body, place)
        elif schema is None and body is not None:
            complaints.append("a body where none is taken")
        return [f"{method} {template}: {complaint}" for complaint in complaints]

    def response(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """Check the answer to a request; `body` is None for an empty one."""
        template = self.template(method, path)
        if template is None:
            return []
        declared = self._paths[template][method.lower()]["responses"]
        key = next((key for key in (str(status), f"{str(status)[0]}XX") if key in declared), None)
        if key is None:
            return [f"{method} {template}: the status {status} is not one of {sorted(declared)}"]
        place = _pointer("paths", template, method.lower(), "responses", key)
        if "$ref" in declared[key]:
            place = declared[key]["$ref"]
        content = self._look_up(place).get("content")
        if content is None:
            return [f"{method} {template}: {status} with a body"] if body is not None else []
        return [f"{method} {template} {status}: {it}" for it in self._fits(body, f"{place}/content/application~1json/schema")]

    def _parameters(self, template: str, operation: Mapping[str, Any], path: Mapping[str, str], query: Mapping[str, str]) -> Iterator[str]:
        declared = {
            (item["in"], item["name"]): item for item in (*self._paths[template].get("parameters", ()), *operation.get("parameters", ()))
        }
        given = {("path", name): value for name, value in path.items()} | {("query", name): value for name, value in query.items()}
        for (place, name), value in given.items():
            if (place, name) not in declared:
                yield f"unknown {place} parameter {name}"
            else:
                schema = declared[place, name]["schema"]
                if not any(self._validator(schema).is_valid(reading) for reading in _readings(value)):
                    yield f"{place} parameter {name}: {value!r} does not fit"
        yield from (
            f"{place} parameter {name} is missing"
            for (place, name), item in declared.items()
            if item.get("required") and (place, name) not in given
        )

    def _fits(self, value: Any, place: str) -> Iterator[str]:
        for error in self._validator({"$ref": f"{HOME}{place}"}).iter_errors(value):
            worst = best_match([error])  # of an alternative it is the branch that comes nearest
            yield f"{worst.json_path}: {worst.message[:300]}"

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        rooted = {**schema, "$ref": schema["$ref"].replace("#", f"{HOME}#", 1)} if schema.get("$ref", "").startswith("#") else schema
        return Draft202012Validator(rooted, registry=self._registry, format_checker=FORMATS)

    def _look_up(self, pointer: str) -> dict[str, Any]:
        node = self._document
        for step in pointer.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node


def _mend(schemas: dict[str, Any]) -> None:
    """Correct what the document says otherwise than Discord's own reference and its servers do."""
    # Codes of single fields are words such as BASE_TYPE_MAX_LENGTH. Documented: API reference, error messages.
    schemas["InnerErrors"]["properties"]["_errors"]["items"] = {
        "type": "object",
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        "required": ["code", "message"],
    }
    # `code` is there for some limits only. Documented: rate limits, rate limit response structure.
    limited = schemas["RatelimitedResponse"]["allOf"]
    limited[0] = {"type": "object", "properties": schemas["Error"]["properties"], "required": ["message"]}


def _pointer(*steps: str) -> str:
    return "#/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)


def _values(template: str, path: str) -> dict[str, str] | None:
    """Return the values of a template's placeholders in a path, None if the path is another one."""
    names, segments = template.split("/"), path.split("/")
    if len(names) != len(segments):
        return None
    pairs = list(zip(names, segments, strict=True))
    if any(name != segment for name, segment in pairs if not name.startswith("{")):
        return None
    return {name[1:-1]: segment for name, segment in pairs if name.startswith("{")}


def _readings(value: str) -> Iterator[Any]:
    """Yield what a parameter in an address may stand for: text, and the number or truth value that it spells."""
    yield value
    try:
        yield json.loads(value)
    except ValueError:
        return


def _extended(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of schemas that others extend; closed, they would refuse what those add."""
    schemas = document["components"]["schemas"].values()
    parts = [part for schema in schemas if len(schema.get("allOf", ())) > 1 for part in schema["allOf"]]
    return frozenset(part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part)


def _close(node: Any, extended: frozenset[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _close(item, extended)
    elif isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        for name, child in node.items():
            if name != "allOf" and name not in extended:
                _close(child, extended)


class TelegramSpecification:
    """The Bot API's methods and types. Types are closed: what they do not list does not exist."""

    PRIMITIVES: Mapping[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "DateTime": (int,),
        "datetime.datetime": (int,),
        "datetime.timedelta": (int,),
        "InputFile": (str,),
    }
    """How the types of values are written in JSON; moments are Unix time."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._methods: Mapping[str, Any] = document["methods"]
        self._types: Mapping[str, Any] = document["types"]
        self._unions: Mapping[str, str] = {"RichTextUnion": _rich_text(document["types"]["RichText"]["description"]), **document["unions"]}

    def request(self, method: str, parameters: Mapping[str, Any]) -> list[str]:
        """Check a call; parameters of a form are text, nested ones JSON within it."""
        if method not in self._methods:
            return [f"{method}: there is no such method"]
        fields = {field["name"]: field for field in self._methods[method]["fields"]}
        texts = " ".join(value for value in parameters.values() if isinstance(value, str))
        # A file in a form is its parameter, or is named by one; a value of the type is a text.
        parameters = {name: value for name, value in parameters.items() if name in fields or f"attach://{name}" not in texts}
        parameters = {name: value.filename if isinstance(value, FileField) else value for name, value in parameters.items()}
        read = {name: self._read(value, fields[name]["type"]) if name in fields else value for name, value in parameters.items()}
        return list(self._object(read, list(fields.values()), method))

    def result(self, method: str, value: Any) -> list[str]:
        """Check what a call returned."""
        return list(self._fits(value, self._methods[method]["returns"], f"result of {method}"))

    def answer(self, method: str, status: int, body: Any) -> list[str]:
        """Check the whole answer to a call."""
        where = f"answer to {method}"
        if not isinstance(body, dict):
            return [f"{where}: no object"]
        if body.get("ok") is True:
            return self.result(method, body.get("result")) + ([] if status == 200 else [f"{where}: ok with the status {status}"])
        complaints = [f"{where}: {name} is missing" for name in ("error_code", "description") if name not in body]
        if "parameters" in body:
            complaints += self._fits(body["parameters"], "ResponseParameters", where)
        return complaints + ([] if status == body.get("error_code") else [f"{where}: {status} is not its error_code"])

    def _read(self, value: Any, expression: str) -> Any:
        if not isinstance(value, str) or "str" in self._alternatives(expression):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return value

    def _alternatives(self, expression: str) -> list[str]:
        expression = self._unions.get(expression, expression)
        if annotated := re.fullmatch(r"Annotated\[(.+), Field\(.+\)\]", expression):
            expression = annotated[1]
        return expression.split(" | ")

    def _fits(self, value: Any, expression: str, where: str) -> Iterator[str]:
        alternatives = self._alternatives(expression)
        if isinstance(value, dict) and "type" in value:  # of types that are told apart by it, only the one that it names
            alternatives = [one for one in alternatives if self._type_of(one) in {None, value["type"]}] or alternatives
        tries = [list(self._is(value, alternative, where)) for alternative in alternatives]
        yield from min(tries, key=len)

    def _type_of(self, kind: str) -> str | None:
        """Return the only value that the field `type` of a type may have, None if there is no such one."""
        for field in self._types.get(kind, {}).get("fields", ()):
            if field["name"] == "type" and (literal := re.fullmatch(r"Literal\[(.+)\]", field["type"])):
                return _spelt(literal[1])
        return None

    def _is(self, value: Any, kind: str, where: str) -> Iterator[str]:
        if inner := re.fullmatch(r"list\[(.+)\]", kind):
            if not isinstance(value, list):
                yield f"{where}: {value!r} is no list"
                return
            for index, item in enumerate(value):
                yield from self._fits(item, inner[1], f"{where}[{index}]")
        elif literal := re.fullmatch(r"Literal\[(.+)\]", kind):
            if _spelt(literal[1]) != str(value):
                yield f"{where}: {value!r} is not {_spelt(literal[1])!r}"
        elif kind in self.PRIMITIVES:
            if not isinstance(value, self.PRIMITIVES[kind]) or (isinstance(value, bool) and kind != "bool"):
                yield f"{where}: {value!r} is no {kind}"
        elif kind not in self._types:
            yield f"{where}: the specification does not say what {kind} is"
        elif not isinstance(value, dict):
            yield f"{where}: {value!r} is no {kind}"
        else:
            yield from self._object(value, self._types[kind]["fields"], f"{where}:{kind}")

    def _object(self, value: Mapping[str, Any], fields: Sequence[Mapping[str, Any]], where: str) -> Iterator[str]:
        known = {field["name"]: field for field in fields}
        yield from (f"{where} has no {name}" for name in value if name not in known)
        yield from (f"{where}: {name} is missing" for name, field in known.items() if field["required"] and name not in value)
        for name in known.keys() & value.keys():
            yield from self._fits(value[name], known[name]["type"], f"{where}.{name}")
            allowed = _allowed(known[name])
            if allowed and value[name] not in allowed:
                yield f"{where}.{name}: {value[name]!r} is none of {sorted(allowed)}"


def _rich_text(prose: str) -> str:
    """Return what a rich text can be: it is told in words only."""
    return " | ".join(["str", "list[RichTextUnion]", *re.findall(r"- (RichText[A-Za-z]+)", prose)])


def _spelt(literal: str) -> str:
    """Return the value of a literal type: quoted, a number, or a member of an enumeration, whose value is its name in lower case."""
    return literal.strip("'") if literal[0] in "'0123456789" else literal.rpartition(".")[2].lower()


def _allowed(field: Mapping[str, Any]) -> frozenset[str]:
    """Return the values that the prose of a text field lists, empty if it lists none."""
    prose = field["description"]
    if field["type"] != "str" or not re.search(r"(?:can be|one of|must be) (?:either )?'", prose, re.IGNORECASE):
        return frozenset()
    return frozenset(re.findall(r"'([a-z_]+)'", prose))
