"""Which values may an option of a model take? Those that its builder's annotation names, as far as it names any."""

from collections.abc import Callable, Collection, Iterable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError, WrapValidator

from pdsearch.space.problems import show
from pdsearch.space.sections import OptionValue
from pdsearch.space.values import Rule, field_rule
from pdsearch.space.words import complaint

__all__ = ["ANY_OPTION", "option_rule"]

ANY_OPTION = field_rule(OptionValue)
"""A word, a number, or a list of such: no more can be said of an option without an annotation."""

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
LISTS = (list, tuple, Sequence, Collection, Iterable)
WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", list: "a list"}
KINDS = {int: "int", float: "float", str: "str", bool: "bool", list: "list"}


def option_rule(annotations: Collection[Any]) -> Rule:
    """Return the rule of an option, from its annotations in all models that can be chosen and have it.

    A value stays as it was written: a whole number is not made a decimal one, for keys hold it.
    """
    rules = [_rule(annotation) for annotation in annotations]
    kinds = [rule.kind for rule in rules]
    kind = next((kind for kind in ("int", "float", *kinds) if kind in kinds), ANY_OPTION.kind)
    return Rule(kind, (*ANY_OPTION.adapters, *(adapter for rule in rules for adapter in rule.adapters)))


def _rule(annotation: Any) -> Rule:
    form = _form(annotation)
    kept = Annotated[form, WrapValidator(_as_given)]  # type: ignore[valid-type]
    return Rule(KINDS.get(_plain(form), "any"), (TypeAdapter(kept, config=STRICT),))


def _as_given(value: Any, check: Callable[[Any], Any]) -> Any:
    check(value)
    return value


def _form(annotation: Any) -> Any:
    """Return what pydantic can judge of an annotation; `Any` where nobody knows what a file would have to say."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation in (int, float, str, bool) or origin is Literal:
        return annotation
    if origin is Annotated:
        return _form(inside[0])
    if origin in (Union, UnionType):
        # No option can be nothing in a space file.
        return _either([_form(part) for part in inside if part is not NoneType])
    if annotation in LISTS or origin in LISTS:
        return _list(origin is tuple, inside)
    return Any


def _list(fixed: bool, inside: Sequence[Any]) -> Any:
    """Return the form of a list, of a certain length where the annotation is `tuple[int, int]`."""
    parts = [_form(part) for part in inside if part is not Ellipsis]
    form: Any = list[_either(parts)] if parts else list[Any]  # type: ignore[misc]
    if not (fixed and parts) or Ellipsis in inside:
        return form

    def check(value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) != len(parts):
            raise complaint(f"a list of {len(value)}, {len(parts)} needed", f"write {len(parts)} values")
        return value

    return Annotated[form, BeforeValidator(check)]


def _either(forms: Sequence[Any]) -> Any:
    """Return what accepts the values of any form, in one message where none does."""
    distinct = list(dict.fromkeys(forms))
    if len(distinct) == 1:
        return distinct[0]
    if Any in map(_plain, distinct):
        return Any
    adapters = [TypeAdapter(form, config=STRICT) for form in distinct]

    def check(value: Any) -> Any:
        if not any(_fits(adapter, value) for adapter in adapters):
            words = " or ".join(dict.fromkeys(map(_in_words, distinct)))
            raise complaint(f"expected {words}, got {show(value)}", "write one of them")
        return value

    return Annotated[Any, BeforeValidator(check)]


def _fits(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def _plain(form: Any) -> Any:
    """Return the type of which values of a form are; `Any` where it is not one."""
    if get_origin(form) is Annotated:
        return _plain(get_args(form)[0])
    if get_origin(form) is Literal:
        kinds = {type(word) for word in get_args(form)}
        return kinds.pop() if len(kinds) == 1 else Any
    return get_origin(form) or form


def _in_words(form: Any) -> str:
    if get_origin(form) is Literal:
        return " or ".join(map(show, get_args(form)))
    return WORDS[_plain(form)]
