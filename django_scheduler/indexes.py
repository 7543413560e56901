"""Partial indexes, and what does their work where there are none."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class PartialIndex(models.Index):
    """An index of the rows that meet a condition, on ``fields``; in MySQL of all rows, on ``fields_in_mysql``.

    The condition's column does not belong into ``fields``: PostgreSQL knows that each row of the index meets the
    condition, forgets that the query asks for it, and then takes an index that this column leads for one whose
    first column nobody asks for. Measured with 220,000 pending rows: 52 ms instead of 0.7.
    """

    def __init__(self, *, fields_in_mysql: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.fields_in_mysql = list(fields_in_mysql)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        path, arguments, options = super().deconstruct()
        return path, arguments, {**options, "fields_in_mysql": self.fields_in_mysql}

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **options: Any
    ) -> Statement:
        if schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, using, **options)
        plain = models.Index(fields=self.fields_in_mysql, name=self.name)
        return plain.create_sql(model, schema_editor, using, **options)
