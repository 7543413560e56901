import environ

SECRET_KEY = "of a test"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SHARED_APPS = [
    "django_tenants",
    "tests.middleware.tenants.customers",
    "django.contrib.contenttypes",
    "django_scheduler",
]
TENANT_APPS = ["tests.middleware.tenants.shop"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]

TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASES = {"default": {**environ.Env().db(), "ENGINE": "django_tenants.postgresql_backend"}}

DJANGO_SCHEDULER = {"MIDDLEWARE": ["tests.middleware.tenants.documented.TenantMiddleware"]}
