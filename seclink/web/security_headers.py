"""The security headers of all responses.

A page may load only its own files, embeds nothing that did not agree to it, and gives up browser features it does not
need. Headers that the application set itself are not added.
"""

Header = tuple[bytes, bytes]

# Browser features that the pages never use. One that is not listed is available to the page itself: the share sheet
# needs web-share, a transfer of files screen-wake-lock.
_UNUSED = (
    *("accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read", "compute-pressure"),
    *("display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid"),
    *("identity-credentials-get", "idle-detection", "keyboard-map", "local-fonts", "magnetometer", "microphone"),
    *("midi", "otp-credentials", "payment", "picture-in-picture", "publickey-credentials-create"),
    *("publickey-credentials-get", "serial", "storage-access", "sync-xhr", "usb"),
    *("window-management", "xr-spatial-tracking"),
)

# For responses with data. Cross-Origin-Resource-Policy can be same-origin although CORS is open: it applies only
# to requests without CORS, such as <img src>.
HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), clipboard-write=(self), display-capture=(), geolocation=(), gyroscope=(), "
        b"microphone=(), payment=(), usb=()",
    ),
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex"),
)

# For the pages and their files; they replace HEADERS of the same name.
PAGE_HEADERS: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"font-src 'self'; manifest-src 'self'; worker-src 'self'; object-src 'none'; frame-src 'none'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        b"trusted-types seclink-worker",
    ),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (
        b"permissions-policy",
        ", ".join((*(f"{feature}=()" for feature in _UNUSED), "clipboard-write=(self)")).encode(),
    ),
)


def headers(public_url: str) -> tuple[Header, ...]:
    """Return the headers of all responses; with an https URL they tell browsers to keep using https."""
    return (*HEADERS, *(((b"strict-transport-security", b"max-age=31536000"),) if public_url[:6] == "https:" else ()))
