from django.urls import path

from . import views

app_name = "probe"

urlpatterns = [
    path("", views.page, name="page"),
    path("who/", views.who, name="who"),
    path("slow/", views.slow, name="slow"),
    path("entries/", views.entries, name="entries"),
    path("runs/", views.runs, name="runs"),
]
