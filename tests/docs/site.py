"""Hooks of `mkdocs build`: navigation from docs/README.md, and files outside docs/ that its pages link to."""

import os
import re
from pathlib import PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from tests.architecture.tree import ROOT, committed

LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)]+)\)", re.MULTILINE)
OUTSIDE = "repository"
"""Folder of the site for files outside docs/."""


def navigation(index: str) -> list[dict[str, object]]:
    """Return mkdocs's navigation: a section for each heading of an index page, a page for each entry of its list."""
    _opening, *parts = re.split(r"^## (.+)\n", index, flags=re.MULTILINE)
    sections = zip(parts[::2], parts[1::2], strict=True)
    home: list[dict[str, object]] = [{"Home": "README.md"}]
    return home + [
        {title: [{name: page} for name, page in ENTRY.findall(text) if not page.startswith("../")]}
        for title, text in sections
    ]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from the index."""
    config.nav = navigation((ROOT / "docs/README.md").read_text(encoding="utf-8"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside docs/, and what those files link to in turn."""
    waiting = [PurePosixPath("docs", file.src_uri) for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(_prose((ROOT / page).read_text(encoding="utf-8"))):
            path = _target(page, link)
            if (
                (ROOT / path).exists()
                and path.parts[0] != "docs"
                and files.get_file_from_path(_in_site(path)) is None
            ):
                files.append(_outside(path, config))
                waiting += [path] if path.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the site has what they lead to."""
    del config, files
    here = PurePosixPath(page.file.src_uri)
    own = PurePosixPath(*here.parts[1:]) if here.parts[0] == OUTSIDE else PurePosixPath("docs", here)

    def moved(link: re.Match[str]) -> str:
        target = _target(own, link[1])
        return os.path.relpath(_in_site(target), here.parent) if (ROOT / target).exists() else link[1]

    return LINK.sub(moved, markdown) if own.suffix == ".md" else markdown


def _prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def _target(page: PurePosixPath, link: str) -> PurePosixPath:
    """Return what a page's link leads to, from the root of the clone; a folder's README stands for the folder."""
    path = PurePosixPath(os.path.normpath(page.parent / link))
    return path / "README.md" if (ROOT / path / "README.md").is_file() else path


def _in_site(path: PurePosixPath) -> str:
    """Return a file's name in the site: code becomes a page."""
    if path.parts[0] == "docs":
        return str(path.relative_to("docs"))
    return f"{OUTSIDE}/{path}" if path.suffix in {".md", ".svg", ".ipynb"} else f"{OUTSIDE}/{path}.md"


def _outside(path: PurePosixPath, config: MkDocsConfig) -> File:
    where, unlisted = ROOT / path, InclusionLevel.NOT_IN_NAV
    if _in_site(path).endswith(str(path)):
        return File.generated(config, _in_site(path), abs_src_path=str(where), inclusion=unlisted)
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".sh": "sh"}.get(path.suffix, "text")
    code = where.read_text(encoding="utf-8") if where.is_file() else _listing(path)
    text = f"# {path.name}\n\n`{path}`\n\n```{language}\n{code}```\n"
    return File.generated(config, _in_site(path), content=text, inclusion=unlisted)


def _listing(folder: PurePosixPath) -> str:
    return "".join(f"{path}\n" for path in committed() if path.is_relative_to(folder))
