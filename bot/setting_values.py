"""What a setting's value may be, and what is wrong with it, in words."""

import difflib
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import ErrorDetails


def no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    return value


def none_word(value: object) -> object:
    # TOML has no null, and an environment variable is always a text.
    return None if value in ("", "none") else value


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


def _model_name(value: str) -> str:
    if not value or len(value) > 200 or any(char.isspace() for char in value):
        raise ValueError("a model is an alias such as sonnet, or a full name without spaces")
    return value


def _no_repeats(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("each model may stand in the chain once")
    return value


Count = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=10_000)]
Seconds = Annotated[float, BeforeValidator(no_bool), Field(gt=0, le=7 * 86_400)]
Dollars = Annotated[Decimal, BeforeValidator(no_bool), Field(gt=0, le=1_000_000, decimal_places=6)]
Limit = Annotated[Dollars | None, BeforeValidator(none_word)]  # none: without one
Model = Annotated[str, AfterValidator(_model_name)]
Models = Annotated[
    tuple[Model, ...], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_no_repeats)
]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_listed)]


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
        case "decimal_max_places":
            return f"at most {context['decimal_places']} decimal places are counted"
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


def agent_model(model: str, kind: str, *, later: bool = False) -> Any:
    """The field of the model that a kind of agent has."""
    about = f"The model of the {kind}."
    return Field(model, description=about, json_schema_extra={"later": later})
