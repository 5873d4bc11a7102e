"""What Starlette and FastAPI's security helpers recognise, on uvicorn. usage: starlette_app.py PORT"""

import sys

import readings
import uvicorn
from fastapi.security import HTTPBasic, HTTPBearer, OAuth2PasswordBearer
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response
from starlette.routing import Route

bearer = HTTPBearer(auto_error=False)
oauth2 = OAuth2PasswordBearer("token", auto_error=False)
basic = HTTPBasic(auto_error=False)


async def found(scheme, request):
    try:
        return await scheme(request)
    except HTTPException:
        return None


async def respond(request):
    result = [(f"cookie.{name}", request.cookies.get(name)) for name in readings.COOKIES]
    result += [
        ("session.starlette", request.session.get("id")),
        ("session.serializer", readings.serializer(request.cookies.get("signed"))),
        ("path", request.scope["path"]),
        ("key.header", request.headers.get("x-api-key")),
        ("key.query", request.query_params.get("api_key")),
        ("token.query", request.query_params.get("access_token")),
    ]
    credentials = await found(bearer, request)
    result.append(("auth.http_bearer", credentials and credentials.credentials))
    result.append(("auth.oauth2", await found(oauth2, request)))
    user = await found(basic, request)
    result.append(("basic.fastapi", user and user.username))
    result += readings.authorization(request.headers.get("authorization"))
    return Response(readings.lines(result), media_type="text/plain")


app = Starlette(
    routes=[Route("/{path:path}", respond)],
    middleware=[
        Middleware(
            SessionMiddleware,
            secret_key=readings.SECRET,
            session_cookie="starlette_session",
            max_age=None,
        )
    ],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
