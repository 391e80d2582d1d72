"""The control port's application: its routes behind its guards."""

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request

from int3rceptor.control import failures, plugins
from int3rceptor.control.bodies import BodyRoutes
from int3rceptor.control.described import bearer, components, documented
from int3rceptor.control.events import PATH as EVENTS_PATH
from int3rceptor.control.events import EventRoute
from int3rceptor.control.flows import FlowRoutes
from int3rceptor.control.guards import Answers, Doors, Locked, Paced
from int3rceptor.control.info import API_VERSION, InfoRoutes
from int3rceptor.control.kept import Threads
from int3rceptor.control.metrics import Counts, own_families
from int3rceptor.control.origins import Names
from int3rceptor.control.plugins import UPLOADS, PluginRoutes
from int3rceptor.control.reading import Methods, Path, Sized
from int3rceptor.control.state import HubState
from int3rceptor.control.welcome import welcome

OPENAPI_PATH = "/api/openapi.json"

DESCRIPTION = f"""\
Every request but for `/api/health` needs the token of `DATA_DIR/control-token` as
`Authorization: Bearer TOKEN`. Errors all have the shape of `Failure`. HEAD is answered
wherever GET is. `{EVENTS_PATH}` is a WebSocket, which OpenAPI cannot describe:
docs/control-api.md does.
"""

# The framework would export what passes here, wherever the environment says so.
NO_TELEMETRY = TelemetryConfig(
    tracing=False,
    metrics=False,
    logs=False,
    operation_spans=False,
    auto_configure=False,
)


def build(state: HubState) -> FastAPI:
    """The application over `state`; serve it with `server.serve`."""
    counts = Counts()
    app = FastAPI(
        title="INT3RCEPTOR control API",
        version=f"{API_VERSION}.0",
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        telemetry=NO_TELEMETRY,
    )
    failures.handle(app)
    _add_routes(app, state, counts)
    _add_guards(app, state, counts)
    return app


def _add_routes(app: FastAPI, state: HubState, counts: Counts) -> None:
    threads = Threads()
    info = InfoRoutes(
        state, lambda: [*state.families(), *own_families(counts, state.events.viewers)]
    )
    event_route = EventRoute(state.events, state.token, state.version)

    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(described(app))

    app.add_api_route("/", welcome, include_in_schema=False)
    info.add_open_to(app)
    # What is added from here on says in OpenAPI that it needs the token.
    app.router.dependencies = [Depends(bearer)]
    app.router.responses = documented(401)
    info.add_to(app)
    FlowRoutes(state.flows, threads).add_to(app)
    BodyRoutes(state.flows, threads).add_to(app)
    PluginRoutes(state.plugins, state.uploads, state.trials).add_to(app)
    app.add_api_route(EVENTS_PATH, event_route.get, include_in_schema=False)
    app.add_api_route(OPENAPI_PATH, openapi, include_in_schema=False)
    app.add_api_websocket_route(EVENTS_PATH, event_route.connect)


def described(app: FastAPI) -> dict[str, object]:
    """The OpenAPI description, with the shapes that the framework is not told of."""
    schema = app.openapi()
    shapes = {**components(), **plugins.components()}
    schema["components"]["schemas"].update(shapes)
    return schema


def _add_guards(app: FastAPI, state: HubState, counts: Counts) -> None:
    names = Names(state.address[0], state.settings.allowed_hosts)
    # The last one added is the outermost.
    app.add_middleware(Methods, paths=lambda: _paths(app), websocket=EVENTS_PATH)
    app.add_middleware(Sized, uploads=UPLOADS)
    app.add_middleware(Locked, token=state.token)
    app.add_middleware(Paced, per_s=state.settings.max_requests_per_s)
    app.add_middleware(Doors, names=names)
    app.add_middleware(Answers, counts=counts)


def _paths(app: FastAPI) -> list[Path]:
    return [
        Path(route.path_regex, frozenset(route.methods or ()))
        for route in app.routes
        if isinstance(route, APIRoute)
    ]
