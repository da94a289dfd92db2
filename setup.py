"""The description on PyPI: README.md, whose links into the repository would lead nowhere there."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
_RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)]+)\)")


def described(text: str, url: str) -> str:
    """Return the text with its relative links below the repository's address; without one, as plain words."""

    def link(match: re.Match[str]) -> str:
        image, words, target = match.groups()
        if not url:
            return "" if image else words
        return f"{image}[{words}]({url}/{'raw' if image else 'blob'}/HEAD/{target})"

    return _RELATIVE.sub(link, text)


if __name__ == "__main__":
    config = configparser.ConfigParser()
    config.read(HERE / "setup.cfg")
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=described(readme, config.get("metadata", "url", fallback="").rstrip("/")),
        long_description_content_type="text/markdown",
    )
