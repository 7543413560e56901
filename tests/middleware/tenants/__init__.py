"""A site with a schema for each tenant, by django-tenants: a project of its own, because it needs its own settings."""
