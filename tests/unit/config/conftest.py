"""A directory of settings to write into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "config"
    (directory / "env").mkdir(parents=True)
    (directory / "bots").mkdir()
    (directory / "base.yaml").write_text("trading:\n  capital: 500\n")
    return directory


@pytest.fixture
def write(config_dir: Path) -> Write:
    def put(name: str, text: str) -> Path:
        path = config_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put
