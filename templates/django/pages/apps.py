from django.apps import AppConfig


class PagesConfig(AppConfig):
    """The public pages and the checks of the services behind them."""

    name = "pages"
