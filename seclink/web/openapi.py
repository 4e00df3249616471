"""The OpenAPI 3.1 document of the native API, generated from the list of operations that also makes the handlers.

Litestar can generate one too, but it does not see what admission demands, and its pages load scripts from a CDN.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from seclink import __version__
from seclink.domain import tokens
from seclink.errors import (
    BadRequest,
    Busy,
    FaultCode,
    Forbidden,
    HeadersTooLarge,
    Internal,
    KeyInvalid,
    KeyRequired,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    SecLinkError,
    StorageFailed,
    UnsupportedMediaType,
)
from seclink.web.routes import BINARY, Operation, path_template

PATTERNS = {
    "link_id": f"^({tokens.LINK_ID.pattern})$",
    "receipt_id": f"^{tokens.RECEIPT_ID.pattern}$",
    "upload_id": f"^{tokens.UPLOAD_ID.pattern}$",
    "n": "^[0-9]{1,9}$",
}
_TOKEN = {"type": "string", "pattern": "^[!-~]*$"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "in": "header",
        "schema": {"type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[!-~]+$"},
    },
    "SecLink-Access": {
        "in": "header",
        "schema": {"type": "string"},
        "description": "Proof of the link's key, base64url.",
    },
    "SecLink-Passcode": {"in": "header", "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}},
    "SecLink-Manage": {
        "in": "header",
        "schema": _TOKEN,
        "description": "The manage token.",
    },
    "SecLink-Upload": {"in": "header", "schema": _TOKEN, "description": "The token of the upload."},
    "SecLink-Grant": {"in": "header", "schema": _TOKEN, "description": "The grant of the reveal."},
    "SecLink-Files": {
        "in": "header",
        "schema": {"type": "string", "enum": ["1"]},
        "description": "The caller can take the files of a secret.",
    },
    "Content-Digest": {
        "in": "header",
        "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        "description": "The SHA-256 of the chunk (RFC 9530).",
    },
    "status": {"in": "query", "schema": {"type": "string", "enum": ["active", "revealed", "burned", "expired"]}},
    "search": {"in": "query", "schema": {"type": "string", "maxLength": 200}},
    "page": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
}


def openapi_document(base: str, operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document; the operations' paths are below `base`."""
    listed = list(operations)
    models = [model for op in listed for model in (op.request_body, op.response_body) if model is not None]
    schemas, components = _schemas(tuple(models))
    refs = dict(zip(models, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in listed:
        path = base + path_template(operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation_object(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "SecLink", "version": __version__, "summary": "Hand a secret to one person, once."},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "sk_live_..."},
                "manageToken": {"type": "apiKey", "in": "header", "name": "SecLink-Manage"},
            },
        },
    }


@cache  # a reload describes the same models again
def _schemas(models: tuple[type[Struct], ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a reference to the schema of each model, and the schemas by name."""
    return msgspec.json.schema_components(models, ref_template="#/components/schemas/{name}")


def _operation_object(operation: Operation, refs: dict[type[Struct], Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if operation.returns_bytes:
        success["content"] = _BYTES
    elif operation.response_body:
        success["content"] = {"application/json": {"schema": refs[operation.response_body]}}
    fields: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {str(operation.status): success, **_error_responses(operation)},
        "security": _security(operation),
    }
    if operation.description:
        fields["description"] = operation.description
    if operation.takes_bytes:
        fields["requestBody"] = {"required": True, "content": _BYTES}
    elif operation.request_body:
        content = {"application/json": {"schema": refs[operation.request_body]}}
        fields["requestBody"] = {"required": not operation.body_optional, "content": content}
    return fields


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [part[1:-5] for part in operation.path.split("/") if part.startswith("{")]
    others = (*operation.headers, *(operation.access_rule.query or ()))
    return [
        *(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": PATTERNS[name]}}
            for name in in_path
        ),
        *({"name": name, "required": False, **PARAMETERS[name]} for name in others),
    ]


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.by_manage_token:
        return [{"manageToken": []}, {"apiKey": []}]
    return [{"apiKey": []}] if operation.access_rule.needs_key else [{}, {"apiKey": []}]


def _error_responses(operation: Operation) -> dict[str, Any]:
    errors: list[type[SecLinkError]] = [BadRequest, KeyInvalid, RateLimited, HeadersTooLarge, Internal, Busy]
    errors += [StorageFailed, *operation.errors]
    errors += [Forbidden] if operation.access_rule.scopes else []
    errors += [KeyRequired] if operation.access_rule.needs_key else []
    if operation.request_body or operation.takes_bytes:
        errors += [RequestTimeout, PayloadTooLarge, UnsupportedMediaType]
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(error.code)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": " or ".join(dict.fromkeys(names)), "content": content}
        for status, names in sorted(codes.items())
    }


_BYTES = {BINARY: {"schema": {"type": "string", "format": "binary"}}}
_FAULT = {
    "type": "object",
    "description": "What is wrong with one member of the request, or with one part of the server.",
    "required": ["field", "message", "code"],
    "properties": {
        "field": {"type": "string", "description": "The member's name; empty for the request as a whole."},
        "message": {"type": "string", "description": "For people; may be reworded."},
        "code": {
            "type": "string",
            "description": f"For programs. One of {', '.join(get_args(FaultCode))}; later versions may add codes.",
        },
        "limit": {
            "type": "object",
            "description": "The bounds of the value, both included, where they are known: seconds for expiresIn, "
            "characters for texts, bytes for base64.",
            "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
        },
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code", "requestId", "state")},
        **{name: {"type": "integer"} for name in ("status", "attemptsLeft", "endedAt")},
        "errors": {"type": "array", "items": _FAULT},
    },
}
