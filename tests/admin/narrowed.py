"""A site whose admins show only some of what there is, as a project's may: the queue "ours", and crons named "our ...".

Nothing else of the app is changed: the overview is the app's own.
"""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import path

from django_scheduler.admin import CronAdmin, OverviewAdmin, ScheduledFunctionAdmin
from django_scheduler.crons import Cron
from django_scheduler.models import Overview, ScheduledFunction


class OurFunctionAdmin(ScheduledFunctionAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(queue="ours")


class OurCronAdmin(CronAdmin):
    def get_list_filter(self, request: HttpRequest) -> Any:
        ours = ("last_run__state", "next_time", "args", "last_run__function__args")
        return (*super().get_list_filter(request), *ours)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(name__startswith="our ")


site = AdminSite()
site.register(ScheduledFunction, OurFunctionAdmin)
site.register(Cron, OurCronAdmin)
site.register(Overview, OverviewAdmin)

urlpatterns = [path("admin/", site.urls)]
