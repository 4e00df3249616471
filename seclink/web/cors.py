"""CORS: the API is open to every origin. It uses no cookies, so another site's page cannot act in a user's name."""

from seclink.web.asgi import App, Message, Receive, Send

CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "ratelimit, ratelimit-policy, retry-after, x-request-id",
}
CORS_HEADERS = [(name.encode(), value.encode()) for name, value in CORS.items()]
_ALLOWED = {
    **CORS,
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": (
        "authorization, content-digest, content-type, idempotency-key, seclink-access, seclink-files, seclink-grant, "
        "seclink-manage, seclink-passcode, seclink-upload"
    ),
    "access-control-max-age": "86400",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in _ALLOWED.items()]


def with_preflight(app: App, base: str) -> App:
    """Return `app` with a 204 for every OPTIONS request below `base`, which is about the API and not about a secret."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and scope["path"].startswith(base):
            await send({"type": "http.response.start", "status": 204, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    return handle
