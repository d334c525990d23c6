"""The documentation site: all pages in the navigation, all links resolve, nothing loaded from elsewhere."""

import os
import re
import subprocess
import sys

import pytest
from test_imports import ROOT


@pytest.mark.slow
def test_the_pages_build_without_a_warning_and_ask_for_no_network(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in ("index", "localize", "architecture", "api/localization", "api/commands"):
        text = (tmp_path / f"{page}.html").read_text()
        assert not re.search(r"<(script|img|iframe)[^>]* src=\W?https?:", text), page
    assert "box_iou" in (tmp_path / "api/localization.html").read_text()
