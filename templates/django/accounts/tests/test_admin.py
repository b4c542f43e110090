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
