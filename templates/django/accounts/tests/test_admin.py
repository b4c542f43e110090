from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import TestCase
from django.urls import reverse


class AdminTests(TestCase):
    def setUp(self):
        self.admin = get_user_model().objects.create_superuser("ada", "ada@example.com", "secret")

    def test_sign_in(self):
        response = self.client.post(
            reverse("admin:login"),
            {"username": "ada", "password": "secret", "next": reverse("admin:index")},
            follow=True,
        )

        self.assertContains(response, "Site administration")

    def test_wrong_password(self):
        response = self.client.post(reverse("admin:login"), {"username": "ada", "password": "guess"})

        self.assertContains(response, "Please enter the correct username and password")

    def test_users_can_be_edited(self):
        self.client.force_login(self.admin)

        response = self.client.get(reverse("admin:accounts_user_change", args=[self.admin.pk]))

        self.assertContains(response, "ada@example.com")

    def test_no_page_has_an_inline_script(self):
        """The Content Security Policy would block it, and the page would be half dead."""
        self.client.force_login(self.admin)
        for model, options in admin.site._registry.items():
            for page in ["changelist", "add"]:
                name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
                with self.subTest(name):
                    response = self.client.get(reverse(name))
                    if page == "add" and not options.has_add_permission(response.wsgi_request):
                        continue
                    self.assertEqual(response.status_code, 200)
                    self.assertNotRegex(response.content.decode(), r"<script(?![^>]*\b(src=|json))")
