"""What tests of experiments share."""

import os

import pytest


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results directory for the whole module, so that runs are computed once."""
    where = tmp_path_factory.mktemp("results")
    before = os.environ.get("DLTHEORY_RESULTS")
    os.environ["DLTHEORY_RESULTS"] = str(where)
    yield where
    os.environ.pop("DLTHEORY_RESULTS") if before is None else os.environ.update(DLTHEORY_RESULTS=before)
