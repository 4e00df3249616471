"""CORS:

the API is open to every origin. No cookies are used there, so there is nothing a foreign page could ride on.
"""

from seclink.web.asgi import App, Message, Receive, Send

CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ratelimit, ratelimit-policy, retry-after, x-request-id",
}
CORS_HEADERS = [(name.encode(), value.encode()) for name, value in CORS.items()]
_ALLOWED = {
    **CORS,
    "access-control-allow-methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": (
        "authorization, content-type, idempotency-key, seclink-access, seclink-manage, seclink-passcode"
    ),
    "access-control-max-age": "86400",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in _ALLOWED.items()]


def with_preflight(app: App, base: str) -> App:
    """`app`, with every OPTIONS below `base` answered 204: it asks about the API, not about a secret."""

    async def answering(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and scope["path"].startswith(base):
            await send({"type": "http.response.start", "status": 204, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return answering
