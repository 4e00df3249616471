"""The headers that every answer carries.

A page may load what belongs to it, keeps out what did not agree to be loaded, and gives up what a browser would let
it do. Only what the application did not set itself is added.
"""

Header = tuple[bytes, bytes]

# What a browser would let a page do and this one never wants. web-share stays unlisted: the share sheet needs it, and
# what is not listed is for the page itself.
_OFF = (
    *("accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read", "compute-pressure"),
    *("display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid"),
    *("identity-credentials-get", "idle-detection", "keyboard-map", "local-fonts", "magnetometer", "microphone"),
    *("midi", "otp-credentials", "payment", "picture-in-picture", "publickey-credentials-create"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "storage-access", "sync-xhr", "usb"),
    *("window-management", "xr-spatial-tracking"),
)

# For answers that are data. Cross-Origin-Resource-Policy may stay same-origin although CORS is open: it governs only
# requests made without CORS, such as <img src>.
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

# What a page and everything that belongs to it adds or has differently.
PAGE_HEADERS: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"font-src 'self'; manifest-src 'self'; worker-src 'none'; object-src 'none'; frame-src 'none'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        b"trusted-types 'none'",
    ),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"permissions-policy", ", ".join((*(f"{each}=()" for each in _OFF), "clipboard-write=(self)")).encode()),
)


def headers(public_url: str) -> tuple[Header, ...]:
    """Those of every answer; where people come over https, browsers are told to stay there."""
    return (*HEADERS, *(((b"strict-transport-security", b"max-age=31536000"),) if public_url[:6] == "https:" else ()))
