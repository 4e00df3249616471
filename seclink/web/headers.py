"""The headers that every answer carries."""

Header = tuple[bytes, bytes]

# For answers that are data. A page brings its own policy: only what the application did not set is added.
# Cross-Origin-Resource-Policy may stay same-origin although CORS is open: it governs only requests made without CORS,
# such as <img src>.
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
