"""How does `--set dotted=value` change a document? The value, read as YAML, is put in place first of all."""

from collections.abc import Sequence

from pdsearch.errors import ConfigError
from pdsearch.space.document import Mark, Node, Path, dotted, shorten
from pdsearch.space.reader import read_yaml

__all__ = ["apply_overrides"]


def apply_overrides(root: Node, overrides: Sequence[str]) -> Node:
    """Return the document with every override in place; what follows `space.` is one parameter's name.

    Args:
        root: The document; it stays as it was.
        overrides: Texts such as "search.trials=5" or "space.prune.ratio=[0.36, 0.59]".

    Raises:
        ConfigError: A text is no `dotted=value`, its value is not YAML, or it leads through a single value.
    """
    for text in overrides:
        name, equals, value = text.partition("=")
        name = name.strip()
        source = f"--set {shorten(text)}"
        if not equals or not all(name.split(".")):
            raise ConfigError("no override", where=source, hint="write dotted=value, e.g. search.trials=5")
        path = _path(name)
        content = value.encode("utf-8", "surrogatepass")
        node = _remark(read_yaml(content, source, inside=dotted(path)), Mark(source))
        root = _put(root, path, node, f"{source} key {dotted(path)}")
    return root


def _path(name: str) -> Path:
    head, _, rest = name.partition(".")
    return (head, rest) if head == "space" and rest else tuple(name.split("."))


def _put(node: Node, path: Path, value: Node, where: str) -> Node:
    if not path:
        return value
    if node.value is None:
        node = Node(value.mark, {})
    step = path[0]
    if not isinstance(node.value, dict) or not isinstance(step, str):
        what, hint = "it leads into a single value", "check the dotted name"
        if isinstance(node.value, list):
            what, hint = "it leads into a list", "give the whole list: NAME=[a, b]"
        raise ConfigError(what, where=where, hint=hint)
    child = node.value.get(step, Node(value.mark, None))
    children = {**node.value, step: _put(child, path[1:], value, where)}
    # A key that leads to the value keeps its place in the file; the last one is where a message about it points.
    place = value.mark if len(path) == 1 else node.keys.get(step, value.mark)
    return Node(node.mark, children, {**node.keys, step: place})


def _remark(node: Node, mark: Mark) -> Node:
    if isinstance(node.value, dict):
        children = {key: _remark(child, mark) for key, child in node.value.items()}
        return Node(mark, children, dict.fromkeys(children, mark))
    if isinstance(node.value, list):
        return Node(mark, [_remark(child, mark) for child in node.value])
    return Node(mark, node.value)
