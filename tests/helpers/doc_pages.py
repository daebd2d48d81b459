"""Commands of the documentation's pages, as a reader would copy them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "configs" / "embedmask" / "README.md",
    ]
)
STARTS = ("python tools/", "bash tools/", "make ", "mim ", "pip install", "tools/")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its lines."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [Block(language, text) for language, text in found]


def block_commands(page: Path) -> list[str]:
    """Commands of the page's shell blocks, one line each, without comments."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "bash":
            joined = block.text.replace("\\\n", " ")
            lines += [re.sub(r"\s+# .*", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def commands(page: Path) -> list[str]:
    """All commands of a page: of its shell blocks, and those that stand in the text."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    spans = [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", text)]
    written = [span for span in spans if span.startswith(STARTS) and " " in span]
    return block_commands(page) + written
