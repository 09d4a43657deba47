"""Space files as an enemy, a tired person or a broken disk would write them; each follows from its number."""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "search_spaces").glob("*.yaml"))
TEXTS = [path.read_text(encoding="utf-8") for path in SHIPPED]

WORDS = [
    "", " ", "off", "none", "no", "on", "~", "null", "true", "nan", ".inf", "-.inf", "1e999", "0x1F", "0o17", "1_000",
    "12:30:45", "2001-12-14", "=", "<<", "*a", "&a", "!x", "!!python/object/apply:os.system [true]", "%TAG", "---",
    "...", "\t", "\x00", "\u2028", "\U0001f525", "é", "../../etc/passwd", "/", "~/x", "C:\\x", "ray://h", "s3://b/p",
    "a:b", "os:nothing", "package.module:function", "kd", "magnitude", "prune.method", "prune.ratio", "from_teacher",
    "distill.temperature", "student.params <= 5", "student.params <= 1e400", "9h", "torchvision/x", "a" * 5000,
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 0.5, 1.5, 2**31, 2**63, 2**64, 10**30, -(10**30), 1e308, -1e308, 5e-324, float("nan"), float("inf"),
]  # fmt: skip
TOKENS = [
    "&a ", "*a", "!!python/name:os.system ", "!!binary |\n", "<<: ", "? ", ": ", "- ", "[", "]", "{", "}", "'", '"',
    "|\n", ">\n", "#", "%YAML 1.2\n", "---\n", "...\n", "\t", "\x00", "\xa0", "\ufeff", ",", "@", "`", "\\x", "\r",
]  # fmt: skip


def mutant(number: int, seed: int = 0) -> bytes:
    """Return the space file of a number."""
    drawn = random.Random(f"{seed}/{number}")
    way: Callable[[random.Random], bytes] = drawn.choices([_rebuilt, _rewritten, _bomb], [60, 35, 5])[0]
    return way(drawn)


def _rebuilt(drawn: random.Random) -> bytes:
    """A shipped space, some of its values and keys replaced, moved, repeated or left out."""
    document = yaml.load(drawn.choice(TEXTS), Loader=yaml.CSafeLoader)
    for _ in range(drawn.choice([1, 1, 1, 2, 3, 8])):
        holder, key = drawn.choice(list(_places(document)))
        drawn.choice([_replace, _drop, _rename, _move, _wrap, _nudge])(drawn, document, holder, key)
    flow = drawn.random() < 0.1
    text = yaml.dump(
        document, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, default_flow_style=flow
    )
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """Every place of a tree: its holder and the key or index in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _replace(drawn: random.Random, _: Any, holder: Any, key: Any) -> None:
    holder[key] = _value(drawn)


def _value(drawn: random.Random, depth: int = 0) -> Any:
    kind = drawn.randrange(6 if depth < 3 else 3)
    if kind < 3:
        return [drawn.choice(WORDS), drawn.choice(NUMBERS), drawn.choice([True, False, None])][kind]
    if kind == 3:
        return [_value(drawn, depth + 1) for _ in range(drawn.randrange(4))]
    return {drawn.choice(WORDS): _value(drawn, depth + 1) for _ in range(drawn.randrange(4))}


def _drop(_: random.Random, __: Any, holder: Any, key: Any) -> None:
    del holder[key]


def _rename(drawn: random.Random, _: Any, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        name = str(key)
        at = drawn.randrange(len(name) + 1)
        typo = name[:at] + drawn.choice(["x", "", ".", "-", name]) + name[at + 1 :]
        holder[drawn.choice([typo, drawn.choice(WORDS), drawn.choice(NUMBERS)])] = holder.pop(key)


def _move(drawn: random.Random, document: Any, holder: Any, key: Any) -> None:
    other, place = drawn.choice(list(_places(document)))
    other[place] = copy.deepcopy(holder[key])


def _wrap(drawn: random.Random, _: Any, holder: Any, key: Any) -> None:
    value = holder[key]
    forms = [
        [value],
        [value, value],
        {"choices": [value]},
        {"low": value, "high": value},
        {"low": value, "when": {}},
    ]
    holder[key] = drawn.choice(
        [*forms, {str(key): value}, {"choices": value, "when": {drawn.choice(WORDS): [value]}}]
    )


def _nudge(drawn: random.Random, _: Any, holder: Any, key: Any) -> None:
    value = holder[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        holder[key] = str(value)
    else:
        holder[key] = drawn.choice([-value, value * 10**6, value / 3, value + 1, str(value), float(value), 0])


def _rewritten(drawn: random.Random) -> bytes:
    """The text of a shipped space, cut, repeated, spliced or sprinkled with what YAML reads otherwise."""
    content = bytearray(drawn.choice(TEXTS).encode())
    for _ in range(drawn.choice([1, 1, 2, 5, 20])):
        at, length = drawn.randrange(len(content) + 1), drawn.choice([1, 1, 3, 30, 300])
        way = drawn.randrange(6)
        if way == 0:
            del content[at : at + length]
        elif way == 1:
            content[at:at] = drawn.choice(TOKENS).encode()
        elif way == 2:
            content[at : at + 1] = bytes([drawn.randrange(256)])
        elif way == 3:
            content[at:at] = content[at : at + length] * drawn.choice([1, 2, 50])
        elif way == 4:
            content[at:at] = str(drawn.choice([*WORDS, *NUMBERS])).encode("utf-8", "surrogatepass")
        else:
            other = drawn.choice(TEXTS).encode()
            content[at:] = other[drawn.randrange(len(other)) :]
    return bytes(content)


def _bomb(drawn: random.Random) -> bytes:
    """Small files that grow, deep ones, and large ones, alone or at the end of a space."""
    size = drawn.choice([3, 10, 100, 1_000, 30_000])
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
    )
    merges = "m0: &m0 {a: 1}\n" + "".join(
        f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}\n" for i in range(1, 40)
    )
    bombs = [
        laughs,
        merges,
        "a: &a [*a]\n",
        "space: " + "[" * size + "]" * size,
        "space: " + "{a: " * size + "}" * size,
        "".join(f"{' ' * i}k:\n" for i in range(min(size, 1_000))),
        "space:\n" + "".join(f"  p.{i}: [1, 2]\n" for i in range(size)),
        "space: {prune.method: [" + ", ".join(f"m{i}" for i in range(size)) + "]}\n",
        "constraints: [" + ", ".join(["'student.params <= 5'"] * size) + "]\n",
        "study: " + "x" * size * 30 + "\n",
        "".join(f"data: {{source: s{i}}}\n" for i in range(size)),
        "? " * size,
        "- " * size,
        "".join(f"&a{i} " for i in range(size)),
        "x: " + "9" * size + "\n",
        "x: !!int " + "1:" * size + "\n",
        "x: |\n" + "".join(f" {'y' * 50}\n" for _ in range(size // 2)),
    ]
    before = drawn.choice(["", "", drawn.choice(TEXTS)])
    return (before + drawn.choice(bombs)).encode()[:1_100_000]
