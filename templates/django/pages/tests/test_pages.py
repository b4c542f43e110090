import re
from urllib.parse import urlparse

from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import TestCase, override_settings
from django.urls import reverse


class PagesTests(TestCase):
    def assert_keeps_the_policy(self, response):
        """Everything that the page needs is its own, and nothing in it is inline."""
        html = response.content.decode()
        self.assertNotRegex(html, r"<script(?![^>]*\bsrc=)")
        self.assertNotRegex(html, r"<style|\sstyle=|\son[a-z]+=")
        for link in re.findall(r'(?:src|href)="([^"#]+)', html):
            self.assertEqual(urlparse(link).netloc, "", f"{link} is on another host")
            if link.startswith(settings.STATIC_URL):
                path = link.removeprefix(settings.STATIC_URL)
                self.assertIsNotNone(finders.find(path), f"there is no static file {path}")

    def test_home_page(self):
        response = self.client.get(reverse("pages:home"))

        self.assertContains(response, f"<h1>{settings.SITE_NAME}</h1>", html=True)
        self.assertTemplateUsed(response, "pages/home.html")
        self.assert_keeps_the_policy(response)

    def test_next_steps_are_for_developers_only(self):
        self.assertNotContains(self.client.get(reverse("pages:home")), "Next steps")
        with self.settings(DEBUG=True):
            response = self.client.get(reverse("pages:home"))
        self.assertContains(response, "Next steps")
        self.assert_keeps_the_policy(response)

    def test_policy_forbids_inline_scripts(self):
        policy = self.client.get(reverse("pages:home")).headers["Content-Security-Policy"]

        self.assertIn("default-src 'self'", policy)
        self.assertIn("object-src 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_security_headers(self):
        headers = self.client.get(reverse("pages:home")).headers

        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        self.assertEqual(headers["Referrer-Policy"], "same-origin")

    def test_missing_page(self):
        response = self.client.get("/there-is-no-such-page/")

        self.assertContains(response, "Page not found", status_code=404)
        self.assert_keeps_the_policy(response)

    @override_settings(ROOT_URLCONF="pages.tests.broken_urls")
    def test_forbidden_page(self):
        response = self.client.get("/forbids/")

        self.assertContains(response, "Not allowed", status_code=403)
        self.assert_keeps_the_policy(response)

    @override_settings(ROOT_URLCONF="pages.tests.broken_urls")
    def test_broken_page(self):
        self.client.raise_request_exception = False

        response = self.client.get("/breaks/")

        self.assertContains(response, "Something went wrong", status_code=500)
        self.assert_keeps_the_policy(response)

    def test_form_without_token(self):
        client = self.client_class(enforce_csrf_checks=True)

        response = client.post(reverse("admin:login"), {"username": "someone"})

        self.assertContains(response, "Please try again", status_code=403)
        self.assert_keeps_the_policy(response)

    def test_robots(self):
        response = self.client.get("/robots.txt")

        self.assertContains(response, "Disallow: /admin/")
        self.assertEqual(response.headers["Content-Type"], "text/plain; charset=utf-8")

    def test_favicon(self):
        response = self.client.get("/favicon.ico")

        self.assertRedirects(response, "/static/favicon.ico", fetch_redirect_response=False)
        self.assertIsNotNone(finders.find("favicon.ico"))
