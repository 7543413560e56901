"""A user model of a project's own: no user name, an id that is no number, permissions of its own making."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Person(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = True
    is_active = True

    objects: ClassVar[BaseUserManager[Any]] = BaseUserManager()

    USERNAME_FIELD = "email"

    class Meta:
        app_label = "people"

    def __str__(self) -> str:
        return self.email

    def has_perm(self, permission: str, obj: object = None) -> bool:
        return True

    def has_module_perms(self, app_label: str) -> bool:
        return True
