"""Arguments are bound to the signature of a function as Python binds those of a call."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import mutation
from django_scheduler.errors import InvalidArguments

#: Wrong calls are what is tested here, so no type checker is told of the signature.
decorate: Any = mutation

names = st.sampled_from(["label", "color", "size", "shape", "more", "kwargs", "args", "self"])


@given(st.lists(st.text(max_size=3), max_size=4), st.dictionaries(names, st.integers()))
def test_it_is_bound_as_python_would(args, kwargs):
    def as_python(label, color="red", *, size=1, **more):
        return {"label": label, "color": color, "size": size, **more}

    bound = mutation_for_python.bind
    try:
        expected = as_python(*args, **kwargs)
    except TypeError:
        with pytest.raises(InvalidArguments):
            bound(tuple(args), kwargs)
    else:
        assert {"color": "red", "size": 1, **bound(tuple(args), kwargs)} == expected


@decorate
def mutation_for_python(ctx, label, color="red", *, size=1, **more): ...
