from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView, TemplateView

from . import views

app_name = "pages"


class FaviconView(RedirectView):
    """Browsers ask for this path whatever the page says."""

    def get_redirect_url(self, *args, **kwargs) -> str:
        """The current name of the icon, which holds its hash in production."""
        return static("favicon.ico")


urlpatterns = [
    path("", TemplateView.as_view(template_name="pages/home.html"), name="home"),
    path("health/", views.health, name="health"),
    path("health/deep/", views.health_deep, name="health_deep"),
    path("favicon.ico", FaviconView.as_view()),
    path(
        "robots.txt",
        TemplateView.as_view(template_name="robots.txt", content_type="text/plain; charset=utf-8"),
    ),
]
