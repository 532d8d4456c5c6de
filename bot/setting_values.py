"""What a setting's value may be, and what is wrong with it, in words."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, TypeAdapter, create_model
from pydantic_core import ErrorDetails

S = TypeVar("S")


def validated(section: type[S], given: Mapping[str, object]) -> S:
    """A section of the rules with these values by key; they may be texts.

    Raises pydantic's ValidationError, which `words` tells.
    """
    kind: type = section
    made: S = kind(**dict(_model(kind).model_validate(given)))
    return made


def as_json(section: object) -> dict[str, Any]:
    """A section's values as JSON, by key."""
    made: dict[str, Any] = TypeAdapter(type(section)).dump_python(section, mode="json")
    return made


@cache
def _model(section: type) -> type[BaseModel]:
    hints = get_type_hints(section, include_extras=True)
    known: dict[str, Any] = {
        key.name: (_checked(hints[key.name], key.metadata["fits"]), key.default)
        for key in fields(section)
    }
    return create_model(section.__name__, **known)


def _checked(hint: Any, fits: Callable[[Any], None] | None) -> Any:
    """A field's type, and how the values that people write are read."""

    def kept(value: Any) -> Any:
        if fits is not None:
            fits(value)
        return value

    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(bare) is tuple:
        reads = _listed
    elif NoneType in get_args(bare):
        reads = _none_word
    else:
        reads = _same if bare in (bool, str) or issubclass(bare, Enum) else _no_bool
    return Annotated[hint, BeforeValidator(reads), AfterValidator(kept)]


def _same(value: object) -> object:
    return value


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    return value


def _none_word(value: object) -> object:
    # TOML has no null, and an environment variable is always a text.
    return None if value in ("", "none") else _no_bool(value)


def _listed(value: object) -> object:
    """A list may come as JSON or as a comma list from the environment."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("this is neither JSON nor a comma list") from None
    return [part.strip() for part in value.split(",") if part.strip()]


def nearest(section: str, key: str, sections: Mapping[str, Collection[str]]) -> str:
    """A proposal for an unknown key, with a space before it."""
    keys = [f"{name}.{known}" for name, all_known in sections.items() for known in all_known]
    same = [name for name in keys if name.partition(".")[2] == key]
    near = same or difflib.get_close_matches(f"{section}.{key}", keys, n=1)
    if near:
        return f" Did you mean `{near[0]}`?"
    if section in sections:
        return f" `{section}` has {', '.join(sections[section])}."
    return f" Sections are {', '.join(sections)}."


def shown(value: object) -> str:
    """A value as messages repeat it: short, in quotes if it is a text."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, Decimal):
        text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def words(detail: ErrorDetails) -> str:
    """What pydantic found, said as the other messages say it."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than":
            return f"it must be more than {context['gt']}"
        case "greater_than_equal":
            return f"it must be at least {context['ge']}"
        case "less_than_equal":
            return f"it must be at most {context['le']}"
        case "int_parsing" | "int_type" | "int_from_float":
            return "a whole number is wanted"
        case "float_parsing" | "float_type" | "decimal_parsing" | "decimal_type" | "finite_number":
            return "a number is wanted"
        case "multiple_of":
            return "at most 6 decimal places are counted"
        case "bool_parsing" | "bool_type":
            return "true or false is wanted"
        case "enum":
            return f"{context['expected']} is wanted"
        case "tuple_type":
            return "a list is wanted"
        case "too_short":
            return "the list must not be empty"
        case "string_type" | "path_type":
            return "a text is wanted"
        case "value_error":
            return str(context["error"])
        case _:
            return detail["msg"]
