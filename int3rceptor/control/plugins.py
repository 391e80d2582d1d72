"""The routes of the plugins: what the proxy holds, and what is changed while it runs.

The proxy process answers; the hub only asks it. So the shapes are those of the link,
and what comes over it goes out as it is.
"""

import re
from pathlib import Path as FilePath
from typing import Annotated, Protocol

import msgspec
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from int3rceptor.control.asking import once_each
from int3rceptor.control.described import Described, documented
from int3rceptor.control.failures import ApiError
from int3rceptor.control.schemas import MAX_ID
from int3rceptor.control.uploads import kept_upload
from int3rceptor.link.plugin_asks import PluginAct, PluginFailure
from int3rceptor.link.plugin_reports import PluginDetails, PluginLog, PluginPage

MAX_CONFIG_BYTES = 48 * 1024
"""Of a plugin's configuration; the request's body is bounded a little above it."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a plugin may be called; plugins.manifest holds it to the same."""

_ONE = "/api/plugins/{name}"
UPLOADS = re.compile(r"/api/plugins/[^/]+")
"""The paths that a module is PUT to."""

Name = Annotated[
    str,
    Path(pattern=NAME, description="The plugin's name.", examples=["header-stamp"]),
]
Grant = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        description="A permission as docs/plugin-abi.md lists it.",
        examples=["respond", "network:api.example.com"],
    ),
]
MODULE_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "minLength": 1}
        }
    },
}
STATUSES = {
    PluginFailure.NOT_FOUND: 404,
    PluginFailure.REFUSED: 409,
    PluginFailure.UNAVAILABLE: 503,
}


class PluginRefused(Exception):
    """What was asked was not done: a kind for programs, and a line for people."""

    def __init__(self, kind: PluginFailure, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Plugins(Protocol):
    """The plugins of the proxy that this hub belongs to."""

    async def ask(self, act: PluginAct, name: str = "", text: str = "") -> bytes:
        """What the proxy answers, as JSON; PluginRefused when it does not do it."""
        ...


class Trials(Protocol):
    """Tries modules on kept flows."""

    async def run(self, module: FilePath, flow_id: int) -> str:
        """What the module does with the flow; ApiError when it cannot be tried."""
        ...


class _Body(BaseModel):
    # JSON says what is what: 0 is not false, and it has no NaN.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class Enabled(_Body):
    """Whether a plugin is to be asked."""

    is_enabled: bool


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number")
    return value


class TrialBody(_Body):
    """A kept flow that a plugin is tried on."""

    # 1.0 is a whole number in JSON, too.
    flow: Annotated[int, BeforeValidator(_number)] = Field(
        ge=1, le=MAX_ID, strict=False, description="The flow's id.", examples=[1]
    )


class TrialReport(_Body):
    """What a plugin did with a flow, as `int3rceptor plugins test` prints it."""

    report: str


class GrantBody(_Body):
    """One permission."""

    grant: Grant


class ConfigBody(_Body):
    """A plugin's [config]."""

    config: dict[str, JsonValue] = Field(examples=[{"header": "X-Seen"}])


class _GrantQuery(_Body):
    grant: Grant


def shown(kind: type[msgspec.Struct], status: int = 200) -> Described:
    """An answer in a shape of the link."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    content = {"application/json": {"schema": schema}}
    return {status: {"description": "As it is now.", "content": content}}


class PluginRoutes:
    """/api/plugins. `uploads` is where a module waits for the proxy to look at it."""

    def __init__(self, plugins: Plugins, uploads: FilePath, trials: Trials) -> None:
        self._plugins = plugins
        self._trials = trials
        self._uploads = uploads

    def add_to(self, app: FastAPI) -> None:
        """Register them."""
        self._add_reading(app)
        self._add_files(app)
        self._add_acting(app)
        self._add_settings(app)

    def _add_reading(self, app: FastAPI) -> None:
        app.add_api_route(
            "/api/plugins",
            self.list_plugins,
            response_class=Response,
            tags=["plugins"],
            summary="List plugins, with their states",
            responses={**documented(503), **shown(PluginPage)},
        )
        app.add_api_route(
            _ONE,
            self.get_plugin,
            response_class=Response,
            tags=["plugins"],
            summary="One plugin: permissions, limits, counters, latest faults",
            responses={**documented(404, 422, 503), **shown(PluginDetails)},
        )
        app.add_api_route(
            f"{_ONE}/log",
            self.get_log,
            response_class=Response,
            tags=["plugins"],
            summary="The latest lines that a plugin wrote",
            responses={**documented(404, 422, 503), **shown(PluginLog)},
        )

    def _add_files(self, app: FastAPI) -> None:
        app.add_api_route(
            _ONE,
            self.put_plugin,
            methods=["PUT"],
            status_code=201,
            response_class=Response,
            tags=["plugins"],
            summary="Upload a module",
            openapi_extra={"requestBody": MODULE_BODY},
            responses={**documented(409, 422, 503), **shown(PluginDetails, 201)},
        )
        app.add_api_route(
            _ONE,
            self.delete_plugin,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            tags=["plugins"],
            summary="Take a plugin out of service, and delete its files",
            responses=documented(404, 409, 422, 503),
        )

    def _add_acting(self, app: FastAPI) -> None:
        app.add_api_route(
            f"{_ONE}/enabled",
            self.put_enabled,
            methods=["PUT"],
            response_class=Response,
            tags=["plugins"],
            summary="Enable or disable a plugin",
            responses={**documented(404, 409, 422, 503), **shown(PluginDetails)},
        )
        app.add_api_route(
            f"{_ONE}/reload",
            self.post_reload,
            methods=["POST"],
            response_class=Response,
            tags=["plugins"],
            summary="Load a plugin's file anew",
            responses={**documented(404, 409, 422, 503), **shown(PluginDetails)},
        )
        app.add_api_route(
            f"{_ONE}/trial",
            self.post_trial,
            methods=["POST"],
            tags=["plugins"],
            summary="Try a plugin on a kept flow",
            responses=documented(404, 409, 422, 503),
        )

    def _add_settings(self, app: FastAPI) -> None:
        app.add_api_route(
            f"{_ONE}/grants",
            self.post_grant,
            methods=["POST"],
            response_class=Response,
            tags=["plugins"],
            summary="Grant a permission",
            responses={**documented(404, 409, 422, 503), **shown(PluginDetails)},
        )
        app.add_api_route(
            f"{_ONE}/grants",
            self.delete_grant,
            methods=["DELETE"],
            response_class=Response,
            tags=["plugins"],
            summary="Take a grant back",
            dependencies=[Depends(once_each)],
            responses={**documented(404, 409, 422, 503), **shown(PluginDetails)},
        )
        app.add_api_route(
            f"{_ONE}/config",
            self.get_config,
            tags=["plugins"],
            summary="A plugin's configuration; it may hold secrets",
            responses=documented(404, 409, 422, 503),
        )
        app.add_api_route(
            f"{_ONE}/config",
            self.put_config,
            methods=["PUT"],
            response_class=Response,
            tags=["plugins"],
            summary="Replace a plugin's configuration",
            responses={**documented(404, 409, 422, 503), **shown(PluginDetails)},
        )

    async def list_plugins(self) -> Response:
        """Of the running proxy: those named at its start, and those in its folder."""
        return await self._answer(PluginAct.LIST)

    async def get_plugin(self, name: Name) -> Response:
        """Counters are since the version in service was loaded."""
        return await self._answer(PluginAct.SHOW, name)

    async def get_log(self, name: Name) -> Response:
        """New lines come over `/api/events`, as `plugin.line`."""
        return await self._answer(PluginAct.LOG, name)

    async def put_plugin(self, name: Name, request: Request) -> Response:
        """The body is the module, binary or text, as application/octet-stream. It is
        checked, kept in the plugin folder, and disabled until it is enabled. Over a
        plugin of the folder it is a new version of that: in service at once where that
        is enabled, unless it asks for more."""
        with kept_upload(self._uploads, await request.body()) as path:
            return await self._answer(PluginAct.UPLOAD, name, str(path), status=201)

    async def delete_plugin(self, name: Name) -> None:
        """Only what lies in the plugin folder; grants and state go with it."""
        await self._ask(PluginAct.DELETE, name)

    async def put_enabled(self, name: Name, body: Enabled) -> Response:
        """Kept over restarts. Enabling ends a quarantine, too."""
        act = PluginAct.ENABLE if body.is_enabled else PluginAct.DISABLE
        return await self._answer(act, name)

    async def post_reload(self, name: Name) -> Response:
        """A version that cannot be used leaves the one that serves."""
        return await self._answer(PluginAct.RELOAD, name)

    async def post_trial(self, name: Name, body: TrialBody) -> TrialReport:
        """In a process of its own, without network: nothing that passes is touched.
        Granted for it is what the module asks for, but network and files."""
        details = msgspec.json.decode(
            await self._ask(PluginAct.SHOW, name), type=PluginDetails
        )
        module = FilePath(details.summary.source)
        return TrialReport(report=await self._trials.run(module, body.flow))

    async def post_grant(self, name: Name, body: GrantBody) -> Response:
        """It counts at once, and over restarts."""
        return await self._answer(PluginAct.GRANT, name, body.grant)

    async def delete_grant(
        self, name: Name, query: Annotated[_GrantQuery, Query()]
    ) -> Response:
        """Only what was granted while it ran; the configuration file's stay."""
        return await self._answer(PluginAct.REVOKE, name, query.grant)

    async def get_config(self, name: Name) -> ConfigBody:
        """As the guest reads it."""
        config: dict[str, JsonValue] = msgspec.json.decode(
            await self._ask(PluginAct.READ_CONFIG, name)
        )
        return ConfigBody(config=config)

    async def put_config(self, name: Name, body: ConfigBody) -> Response:
        """In the place of what its manifest says; the plugin is loaded anew with it."""
        try:
            text = msgspec.json.encode(body.config)
        except UnicodeEncodeError:
            raise ApiError(422, "config: half a character (a lone surrogate)") from None
        if len(text) > MAX_CONFIG_BYTES:
            raise ApiError(413, f"more than {MAX_CONFIG_BYTES} bytes of configuration")
        return await self._answer(PluginAct.WRITE_CONFIG, name, text.decode())

    async def _answer(
        self, act: PluginAct, name: str = "", text: str = "", *, status: int = 200
    ) -> Response:
        answer = await self._ask(act, name, text)
        return Response(answer, status, media_type="application/json")

    async def _ask(self, act: PluginAct, name: str = "", text: str = "") -> bytes:
        try:
            return await self._plugins.ask(act, name, text)
        except PluginRefused as error:
            raise ApiError(STATUSES[error.kind], str(error)) from None


def components() -> dict[str, object]:
    """The shapes of the link that OpenAPI has to know."""
    _, schemas = msgspec.json.schema_components(
        (PluginPage, PluginDetails, PluginLog),
        ref_template="#/components/schemas/{name}",
    )
    return schemas
