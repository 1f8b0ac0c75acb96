"""Load the settings: base < environment < bots, cosmic, risk < ConfigMap < secret files < variables < arguments.

`load` is the one loader; composition roots and the command line call it, services get the result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from omega.config.findings import explain
from omega.config.live import check_live
from omega.config.models import EnvironmentName, Settings
from omega.config.schema import accepts, fit, nearest
from omega.config.symbols import check_symbols
from omega.config.tree import Branch, Leaf, Origin, flow, read_yaml
from omega.errors import ConfigError
from omega.topology import redis_user

SECTION_FILES = ("cosmic.yaml", "risk.yaml")
REDIS_URL = "OMEGA_REDIS_URL"
OTHERS_MAY = 0o007
"""The permission bits that a secret file must not have."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration with its history.

    Attributes:
        settings: the values.
        provenance: where each value that is not a default was written, by dotted path.
        generation: a hash of the effective values.
        warnings: what is allowed but not good.
        directories: what to watch for changes.
        again: loads once more from the same places.
    """

    settings: Settings
    provenance: Mapping[str, str]
    generation: str
    warnings: tuple[str, ...]
    directories: tuple[Path, ...]
    again: Callable[[], Loaded] = field(repr=False)


def load(
    *,
    config_dir: str | Path | None = None,
    env: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
    service: str = "",
) -> Loaded:
    """Read all layers, validate the whole and return it.

    Args:
        config_dir: directory of base.yaml; `OMEGA_CONFIG_DIR`, ./config or the project's own when absent.
        env: dev, paper or live; `OMEGA_ENV` or dev when absent.
        environ: the variables, those of the process when absent.
        overrides: arguments by dotted path, the last layer.
        service: the service that starts; the simulator is refused in live mode.

    Raises:
        ConfigError: a file, a key or a value is wrong, or live mode lacks one of its switches.
    """
    variables = dict(os.environ if environ is None else environ)
    world = _environment(env or variables.get("OMEGA_ENV", "") or "dev")
    base = _config_dir(config_dir, variables)
    tree = Branch(Origin("defaults"))
    warnings: list[str] = []
    tree.merge(_files(base, world))
    live_dir = _directory(variables, "OMEGA_LIVE_DIR")
    if live_dir is not None:
        for path in _yaml_files(live_dir):
            tree.merge(_read(path, f"{live_dir.name}/{path.name}"))
    secrets_dir = _directory(variables, "OMEGA_SECRETS_DIR")
    if secrets_dir is not None:
        warnings += _secrets(tree, secrets_dir, strict=world is EnvironmentName.LIVE)
    _variables(tree, variables, world)
    for name, value in (overrides or {}).items():
        _set(tree, tuple(name.split(".")), value, Origin(f"argument {name}"))
    settings = _validated(tree)
    check_live(settings, service=service)
    check_symbols(settings)
    return Loaded(
        settings=_completed(settings, service or "cli"),
        provenance={path: str(origin) for path, origin in tree.origins().items()},
        generation=_hash(tree),
        warnings=tuple(warnings),
        directories=tuple(directory for directory in (base, live_dir, secrets_dir) if directory is not None),
        again=lambda: load(config_dir=base, env=world.value, environ=variables, overrides=overrides, service=service),
    )


def project_config() -> Path:
    """Return the configuration directory that the project carries."""
    return Path(__file__).resolve().parents[2] / "config"


def _environment(name: str) -> EnvironmentName:
    try:
        return EnvironmentName(name)
    except ValueError:
        raise ConfigError(f"there is no environment {name!r}: OMEGA_ENV is one of dev, paper, live") from None


def _config_dir(given: str | Path | None, variables: Mapping[str, str]) -> Path:
    named = str(given or variables.get("OMEGA_CONFIG_DIR", ""))
    if named:
        path = Path(named)
        if not (path / "base.yaml").is_file():
            raise ConfigError(f"{path} holds no base.yaml: set OMEGA_CONFIG_DIR to the directory of the configuration")
        return path
    for path in (Path("config"), project_config()):
        if (path / "base.yaml").is_file():
            return path
    raise ConfigError("no configuration was found: set OMEGA_CONFIG_DIR to the directory that holds base.yaml")


def _directory(variables: Mapping[str, str], variable: str) -> Path | None:
    named = variables.get(variable, "")
    if not named:
        return None
    path = Path(named)
    if not path.is_dir():
        raise ConfigError(f"{variable} names {path}, which is no directory: mount it or unset the variable")
    return path


def _files(base: Path, name: EnvironmentName) -> Branch:
    tree = _read(base / "base.yaml", f"{base.name}/base.yaml")
    layers = [base / "env" / f"{name}.yaml", *_yaml_files(base / "bots"), *(base / file for file in SECTION_FILES)]
    for path in layers:
        if path.is_file():
            tree.merge(_read(path, f"{base.name}/{path.relative_to(base)}"))
    return tree


def _yaml_files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(
        path for path in directory.iterdir() if path.suffix in {".yaml", ".yml"} and not path.name.startswith(".")
    )


def _read(path: Path, shown: str) -> Branch:
    tree = read_yaml(path, shown)
    _translate_cosmic(tree)
    return tree


def _translate_cosmic(tree: Branch) -> None:
    """Take the seeds' form too: `cosmic_factors:` with the master switch beside the factors."""
    old = tree.children.pop("cosmic_factors", None)
    if not isinstance(old, Branch):
        return
    new = Branch(old.origin)
    factors = Branch(old.origin)
    for key, child in old.children.items():
        (new if key == "enabled" else factors).children[key] = child
    new.children["factors"] = factors
    tree.merge(Branch(old.origin, {"cosmic": new}))


def _secrets(tree: Branch, directory: Path, *, strict: bool) -> Iterator[str]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or "__" not in path.name or not path.is_file():
            continue
        if path.stat().st_mode & OTHERS_MAY:
            text = f"secret file {path} may be read by everybody: run chmod o-rwx {path}"
            if strict:
                raise ConfigError(text)
            yield text
        try:
            value = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"secret file {path} cannot be read ({error}): check its owner and mode") from None
        _set(tree, tuple(path.name.lower().split("__")), value, Origin(f"secret file {path.name}"))


def _variables(tree: Branch, variables: Mapping[str, str], name: EnvironmentName) -> None:
    tree.put(("environment", "name"), Leaf(name.value, Origin("OMEGA_ENV")))
    if variables.get(REDIS_URL):
        tree.put(("redis", "url"), Leaf(variables[REDIS_URL], Origin(REDIS_URL)))
    for variable, value in sorted(variables.items()):
        if variable.startswith("OMEGA_") and "__" in variable:
            _set(tree, tuple(variable.removeprefix("OMEGA_").lower().split("__")), value, Origin(variable))


def _set(tree: Branch, path: tuple[str, ...], text: str, origin: Origin) -> None:
    path = fit(path, tree.plain())
    value = flow(text)
    if not accepts(path, value):
        parts = [flow(part.strip()) for part in text.split(",") if part.strip()]
        value = next((other for other in (text, parts) if accepts(path, other)), value)
    tree.put(path, Leaf(value, origin))


def _validated(tree: Branch) -> Settings:
    try:
        return Settings.model_validate_json(json.dumps(tree.plain()), strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, tree, nearest)) from None


def _completed(settings: Settings, service: str) -> Settings:
    bot = settings.runner.bot if service == "runner" else ""
    redis = settings.redis.complete(redis_user(settings.environment.name.value, service, bot))
    return settings if redis is settings.redis else settings.model_copy(update={"redis": redis})


def _hash(tree: Branch) -> str:
    text = json.dumps(tree.plain(), sort_keys=True, default=str)
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
