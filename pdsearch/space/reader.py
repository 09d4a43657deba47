"""How is a YAML file read safely? Decoded, parsed and composed within limits; syntax errors in our words."""

import re
from typing import Any

import yaml

from pdsearch.space.composer import Composer, GiveUpError
from pdsearch.space.document import Mark, Node, shorten
from pdsearch.space.problems import Problems

__all__ = ["MAX_BYTES", "read_yaml"]

MAX_BYTES = 1_000_000
# YAML 1.1 takes \x85 and the separators \u2028 and \u2029 for line breaks: within quotes they would become other text.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# the parser in C, where PyYAML was built with it, is some ten times as fast
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(content: bytes, source: str, *, inside: str = "") -> Node:
    """Read one YAML document.

    Args:
        content: The file's bytes, UTF-8, at most MAX_BYTES.
        source: What messages call it, e.g. the path.
        inside: The dotted key under which it will stand, where it is one value and no file.

    Raises:
        ConfigError: It is not YAML, or not within the limits; with line and column, or with that key.
    """
    problems = Problems(source, inside)
    text = _decode(content, problems)
    root: Node | None = None
    try:
        root = Composer(yaml.parse(text, Loader=LOADER), problems).document()
    except yaml.MarkedYAMLError as error:
        _add_syntax_error(error, text, problems)
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"not YAML: {shorten(str(error), 200)}", Mark(source))
    except GiveUpError:
        pass
    problems.check()
    return root if root is not None else Node(Mark(source, 1, 1), None)


def _decode(content: bytes, problems: Problems) -> str:
    if len(content) > MAX_BYTES:
        problems.add(
            "the file is larger than 1 MB", Mark(problems.source), hint="a space file has a few kilobytes"
        )
        problems.check()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_column(content[: error.start].decode("utf-8-sig", "replace"))
        problems.add(
            "not a text file in UTF-8", Mark(problems.source, line, column), hint="save it as UTF-8 text"
        )
        problems.check()
    found = UNPRINTABLE.search(text)
    if found:
        mark = Mark(problems.source, *_line_column(text[: found.start()]))
        problems.add(
            f"a control character ({found[0]!a}) cannot stand here",
            mark,
            hint="remove it, or quote it as an escape",
        )
        problems.check()
    return text


def _line_column(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


def _add_syntax_error(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        problems.add(f"not YAML: {error.problem}", Mark(problems.source))
        return
    lines = text.split("\n", mark.line + 1)
    line = lines[mark.line] if mark.line < len(lines) else ""
    at = Mark(problems.source, mark.line + 1, mark.column + 1)
    if "\t" in line[: len(line) - len(line.lstrip())]:
        problems.add("a tab cannot indent YAML", at, hint="indent with spaces")
        return
    context = f" ({error.context})" if error.context else ""
    if error.context_mark is not None and error.context_mark.line != mark.line:
        context = f" ({error.context}, begun on line {error.context_mark.line + 1})"
    problems.add(
        f"not YAML: {error.problem}{context}",
        at,
        hint="check indentation, colons, quotes and brackets near here",
    )
