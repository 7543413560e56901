"""Model instances by primary key: what comes back is the row as it is then, from the database it was in."""

from functools import partial

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import router
from django.db.models import Model

from django_scheduler.values.containers import Decode, Encode
from django_scheduler.values.json_text import JSONValue
from django_scheduler.values.problem import ValueProblem, convert_members, malformed


def encode_model(instance: Model, depth: int, encode: Encode) -> JSONValue:
    model = instance._meta.model  # not type(instance): request.user is a SimpleLazyObject
    label = model._meta.label_lower
    if model_labelled(label) is not model:
        raise ValueProblem(f"{label} cannot be stored: its model is not, or no longer, the installed one")
    if instance._state.adding or instance.pk is None:
        raise ValueProblem(f"an unsaved {label} cannot be stored; save it first")
    key = convert_members(partial(encode, depth=depth + 2), {"pk": instance.pk})
    return {"$model": [label, key["pk"], router.db_for_write(model, instance=instance)]}


def decode_model(content: JSONValue, decode: Decode) -> Model:
    match content:
        case [str(label), encoded_key, str(alias)]:
            model = model_labelled(label)
        case _:
            raise malformed(content)
    if model is None:
        raise ValueProblem(f"model {label} no longer exists")
    key = decode(encoded_key)
    try:
        return model._base_manager.using(alias).get(pk=key)
    except ObjectDoesNotExist:
        raise ValueProblem(f"{label} {key} no longer exists") from None


def model_labelled(label: str) -> type[Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None
