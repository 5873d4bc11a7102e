"""What Django and Django REST framework recognise, on gunicorn. usage: gunicorn django_app:application"""

import django
import readings
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=readings.SECRET,
    MIDDLEWARE=[],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    DATABASES={},
    USE_TZ=True,
)
django.setup()

from rest_framework.authentication import BasicAuthentication, TokenAuthentication  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed  # noqa: E402


class Token(TokenAuthentication):
    """Finds the key without a database."""

    def authenticate_credentials(self, key):
        return key, None


class BearerToken(Token):
    keyword = "Bearer"


class Basic(BasicAuthentication):
    """The same for a user."""

    def authenticate_credentials(self, userid, password, request=None):
        return userid, None


def found(authentication, request):
    try:
        return (authentication.authenticate(request) or (None,))[0]
    except AuthenticationFailed:
        return None


def read(request):
    for name in readings.COOKIES:
        yield f"cookie.{name}", request.COOKIES.get(name)
    yield "session.serializer", readings.serializer(request.COOKIES.get("signed"))
    yield "path", request.path_info
    yield "key.header", request.headers.get("x-api-key")
    yield "key.meta", request.META.get("HTTP_X_API_KEY")
    yield "key.query", request.GET.get("api_key")
    yield "token.query", request.GET.get("access_token")
    yield "auth.rest_token", found(Token(), request)
    yield "auth.rest_bearer", found(BearerToken(), request)
    yield "basic.rest", found(Basic(), request)
    yield from readings.authorization(request.META.get("HTTP_AUTHORIZATION"))


def respond(request):
    return HttpResponse(readings.lines(read(request)), content_type="text/plain")


urlpatterns = [re_path(r"", respond)]
application = get_wsgi_application()
