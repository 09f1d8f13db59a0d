"""What tests of experiments share."""

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """The tests of a file run in one process, so that the runs they share are computed once."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results directory for the whole module, so that runs are computed once."""
    where = tmp_path_factory.mktemp("results")
    before = os.environ.get("DLTHEORY_RESULTS")
    os.environ["DLTHEORY_RESULTS"] = str(where)
    yield where
    os.environ.pop("DLTHEORY_RESULTS") if before is None else os.environ.update(DLTHEORY_RESULTS=before)
