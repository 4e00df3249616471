"""Texts that try to run as script or to change a page that expects text."""

# Calls the page's own code that shows a secret, without a server and a page load for each.
SHOW = """async ([base, type, bodies]) => {
  const { showSecret } = await import(`${base}/js/secret-view.js`);
  const { Page } = await import(`${base}/js/ui.js`);
  const { loadLocale } = await import(`${base}/js/i18n.js`);
  const page = new Page(await loadLocale("en"), {});
  const content = document.createElement("div");
  document.body.append(content);
  const shown = [];
  for (const text of bodies) {
    showSecret(content, page, { type, name: text, body: new TextEncoder().encode(text) }, () => {});
    const tags = new Set(Array.from(content.querySelectorAll("*"), (each) => each.localName));
    const link = content.querySelector("a");
    shown.push({ text: content.querySelector("pre, .neogram")?.textContent, whole: content.textContent, tags: [...tags],
      href: link?.href, rel: link?.rel, target: link?.target, host: content.querySelector(".host")?.textContent });
  }
  content.remove();
  return shown;
}"""
RUN = "window.__xss=1"
TAGS = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"<ScRiPt >{RUN}</sCrIpT >",
    f"<img src=x onerror={RUN}>",
    f"<img src=x onerror='{RUN}'//",
    f'<IMG """><SCRIPT>{RUN}</SCRIPT>">',
    f"<svg onload={RUN}>",
    f"<svg/onload={RUN}//",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x></svg>",
    f"<svg><a xlink:href='javascript:{RUN}'><text>x</text></a></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src=javascript:parent.{RUN}></iframe>",
    f"<object data=javascript:{RUN}></object>",
    f"<embed src=javascript:{RUN}>",
    f"<a href=javascript:{RUN}>x</a>",
    f"<form action=javascript:{RUN}><input type=submit autofocus></form>",
    f"<input autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<video><source onerror={RUN}></video>",
    f"<marquee onstart={RUN}>",
    f"<template><img src=x onerror={RUN}></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    "<meta http-equiv=refresh content=0;url=//example.com>",
    "<base href=//example.com/>",
    "<link rel=stylesheet href=//example.com/x.css>",
    "<style>*{display:none}</style>",
    "<plaintext>",
)
ESCAPES = ("{}", '">{}', "'>{}", "</textarea>{}", "</title>{}", "-->{}")
TEXTS = (
    "{{constructor.constructor('window.__xss=1')()}}",
    "${window.__xss=1}",
    "#{window.__xss=1}",
    "<%= window.__xss=1 %>",
    "{count} {link} {constructor} {__proto__}",
    "$& $1 $` $'",
    "javascript:window.__xss=1",
    "&lt;img src=x onerror=window.__xss=1&gt; &#60;b&#62; &amp;amp;",
    "\\u003cscript\\u003ewindow.__xss=1\\u003c/script\\u003e",
    "'; window.__xss=1; '",
    "\u202etxt.exe \u202d\u2066\u2067\u2068\u2069",
    "\u200b\u200d\ufeff\u00ad\u2060",
    "سر סוד 秘密 тайна ความลับ",
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇫🇷 ✌🏽",
    "Z̸̧̛͔͍̱͉͎̒̈́̍̎a̷̘̜͗̈́l̸̠͋g̵̱̈o̶̭͝",
    "＜script＞window.__xss=1＜/script＞",
    "\ufffd\ufffe\uffff",
    "W" * 190,
    "🗝" * 190,
    "\u2028window.__xss=1\u2029",
)
PAYLOADS = tuple(escape.format(tag) for tag in TAGS for escape in ESCAPES) + TEXTS
FILE_NAMES = (
    '"><img src=x onerror=window.__xss=1>.txt',
    "invoice\u202efdp.exe",
    "..\\..\\evil.bat",
    "../../etc/passwd",
    "a\r\nSet-Cookie: x=1.txt",
    "x" * 300 + ".txt",
    ".htaccess",
    "...",
    "C:\\Windows\\x.dll",
    "con\x00.txt",
    "  spaces  ",
    "🗝️ тайна.pdf",
    "\u2066\u2069",
    "a:b|c?d*e<f>g.txt",
)


def join_payloads(max_length: int) -> list[str]:
    """Return all payloads, joined into as few texts of at most `max_length` characters as possible."""
    created = [""]
    for payload in PAYLOADS:
        if len(created[-1]) + len(payload) + 1 > max_length:
            created.append("")
        created[-1] = f"{created[-1]} {payload}".strip(" ")
    return created
