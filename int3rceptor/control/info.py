"""The routes about the product itself: health, version, settings, the CA, metrics."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response

from int3rceptor.control import exposition
from int3rceptor.control.asking import CaQuery, once_each
from int3rceptor.control.described import certificate, documented, metrics_text
from int3rceptor.control.schemas import Health, Reason, Settings, Version, Workers
from int3rceptor.control.state import HubState

API_VERSION = 1
"""Rises when something is taken away or changes its meaning."""

Families = Callable[[], list[exposition.Family]]


class InfoRoutes:
    """All but the flows."""

    def __init__(self, state: HubState, families: Families) -> None:
        self._state = state
        self._families = families

    def add_open_to(self, app: FastAPI) -> None:
        """Register what needs no token."""
        app.add_api_route(
            "/api/health",
            self.get_health,
            tags=["product"],
            summary="Whether all is well",
            responses=documented(),
        )

    def add_to(self, app: FastAPI) -> None:
        """Register the rest."""
        app.add_api_route(
            "/api/version",
            self.get_version,
            tags=["product"],
            summary="What is running",
            responses=documented(),
        )
        app.add_api_route(
            "/api/settings",
            self.get_settings,
            tags=["product"],
            summary="The settings in effect",
            responses=documented(),
        )
        app.add_api_route(
            "/api/ca",
            self.get_ca,
            tags=["product"],
            summary="The CA's certificate, for clients to trust",
            response_class=Response,
            dependencies=[Depends(once_each)],
            responses={**documented(422), **certificate()},
        )
        app.add_api_route(
            "/metrics",
            self.get_metrics,
            tags=["product"],
            summary="Metrics of proxy, store and hub, for Prometheus",
            response_class=Response,
            responses={**documented(), **metrics_text()},
        )

    async def get_health(self) -> Health:
        """Always 200 while the hub runs: it is the answer that says how things are."""
        reasons = [
            Reason(code=trouble.code, message=trouble.message)
            for trouble in self._state.troubles()
        ]
        wanted, serving = self._state.workers()
        return Health(
            status="degraded" if reasons else "ok",
            reasons=reasons,
            workers=Workers(wanted=wanted, serving=serving),
        )

    async def get_version(self) -> Version:
        """Of the product and of this API."""
        return Version(
            version=self._state.version,
            api=API_VERSION,
            proxy=self._state.proxy(),
            ca_fingerprint=self._state.ca.fingerprint,
        )

    async def get_settings(self) -> Settings:
        """Read only. What plugins are configured with is left out: it may be secret."""
        return Settings(settings=dict(self._state.shown_settings()))

    async def get_ca(self, query: Annotated[CaQuery, Query()]) -> Response:
        """The certificate alone: its key never leaves the proxy."""
        ca = self._state.ca
        match query.format:
            case "pem":
                return _file(ca.pem, "application/x-pem-file", "int3rceptor-ca.pem")
            case "der":
                return _file(ca.der, "application/pkix-cert", "int3rceptor-ca.cer")
            case "mobileconfig":
                return _file(
                    ca.mobileconfig,
                    "application/x-apple-aspen-config",
                    "int3rceptor-ca.mobileconfig",
                )

    async def get_metrics(self) -> Response:
        """The text format, version 0.0.4."""
        text = exposition.render(self._families())
        return Response(text, headers={"Content-Type": exposition.CONTENT_TYPE})


def _file(content: bytes, media_type: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    headers = {"Content-Disposition": disposition, "Content-Type": media_type}
    return Response(content, headers=headers)
