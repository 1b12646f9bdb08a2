"""Fixtures of inspection: a renderer for all tests, and a site for each."""

from collections.abc import Iterator

import pytest

from plotindex.rendering.renderer_client import RendererClient
from plotindex.storage.catalog import Catalog
from tests.support.inspection import InspectionSite, inspection_site
from tests.support.postgres import NewDatabase


@pytest.fixture(scope="session")
def renderer() -> Iterator[RendererClient]:
    client = RendererClient()
    yield client
    client.close()


@pytest.fixture
def site(new_database: NewDatabase, engine: str, renderer: RendererClient) -> Iterator[InspectionSite]:
    """A site on the engine of the test."""
    with new_database(engine) as database, inspection_site(Catalog(database), renderer) as made:
        yield made
