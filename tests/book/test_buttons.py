"""Buttons that open a page elsewhere: there with the repository's address, and not without one."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "book"))

from _ext.marginface_book import set_up_theme


@pytest.mark.parametrize("address", ["", "https://example.org/somebody/marginface"])
def test_colab_and_binder_come_with_the_address(address: str) -> None:
    config: Any = SimpleNamespace(html_context={}, html_theme_options={"repository_url": address})
    set_up_theme(None, config)  # type: ignore[arg-type]
    buttons = config.html_theme_options.get("launch_buttons", {})
    assert set(buttons) == ({"colab_url", "binderhub_url"} if address else set())
