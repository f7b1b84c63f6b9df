"""What must hold of the built reading edition: nothing is asked for from outside, and every link leads somewhere."""

import pathlib
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

# What a browser fetches by itself; a link that a person may follow is no such thing.
FETCHED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "video": "src",
}
RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
OUTSIDE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class Page(HTMLParser):
    """What one page fetches, links to, and can be linked by."""

    def __init__(self, path: pathlib.Path):
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        text = path.read_text("utf-8")
        self.feed(text)
        self.fetched += IN_STYLE.findall("".join(re.findall(r"(?s)<style.*?</style>", text)))

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in FETCHED and FETCHED[tag] in values:
            self.fetched.append(values[FETCHED[tag]])
        if tag == "link" and RELATIONS & set(values.get("rel", "").lower().split()):
            self.fetched.append(values.get("href", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        self.fetched += IN_STYLE.findall(values.get("style", ""))


def complaints(site: pathlib.Path) -> list[str]:
    """Everything wrong with a built site, one sentence each."""
    # Below _static the theme keeps templates, which no page opens.
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} asks for {address} from outside" for address in page.fetched if OUTSIDE.match(address)]
        inside = [address for address in (*page.links, *page.fetched) if not re.match(r"[a-z]+:|//", address)]
        found += [f"{name} {wrong}" for address in inside if (wrong := _dead(path, address, pages))]
    for path in site.rglob("*.css"):
        name, text = path.relative_to(site), path.read_text("utf-8")
        found += [f"{name} asks for {address} from outside" for address in IN_STYLE.findall(text)]
    return found


def _dead(path, address, pages):
    """Why a link within the site leads nowhere; empty where it leads somewhere."""
    file, anchor = urldefrag(unquote(address))
    target = (path.parent / file.split("?")[0]).resolve() if file else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"links to {address}: there is no such file"
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"links to {address}: there is no such place in it"
    return ""
