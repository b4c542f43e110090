urlpatterns += [path("probe/", include("probe.urls"))]
