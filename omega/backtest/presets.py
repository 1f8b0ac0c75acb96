"""Trader profiles and cosmic presets as YAML: config/psychology/NAME.yaml and config/cosmic_presets/NAME.yaml.

Called by `load_influences`, by the runner's composition and by whoever lists them; "off" is always a name of both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from omega.engine.adaptation import Adaptation, parse_adaptations
from omega.engine.conditions import BY_TIME, MOON, TABLES
from omega.engine.cosmic import Application, factor_ramps, factor_weights
from omega.engine.profile import Profile
from omega.engine.ramps import Ramp
from omega.errors import ConfigError
from omega.params import nearest, parse_params

OFF: Final = "off"
ONLY: Final = "only_"
FACTORS: Final = (MOON, *TABLES, *BY_TIME)
"""Every factor with a table of influences; a registered one without a table is known too."""
_PROFILES: Final = "psychology"
_PRESETS: Final = "cosmic_presets"
_PLACE: Final = {"latitude": (40.0, 90.0), "longitude": (-74.0, 180.0)}


@dataclass(frozen=True, slots=True)
class Preset:
    """A set of weighted cosmic factors, where they may act, and the place whose hours count.

    Units: weights in (0, 1]; the place in degrees, north and east positive; ramps in ns UTC.
    """

    weights: tuple[tuple[str, float], ...] = ()
    application: Application = field(default_factory=lambda: Application(live=False))
    latitude: float = 40.0
    longitude: float = -74.0
    ramps: tuple[tuple[str, Ramp], ...] = ()

    def without(self, names: Iterable[str]) -> Preset | None:
        """Return the preset without some factors, itself where it has none of them, None where nothing is left."""
        gone = set(names).intersection(dict(self.weights))
        if not gone:
            return self
        weights = tuple([pair for pair in self.weights if pair[0] not in gone])
        return (
            replace(self, weights=weights, ramps=tuple([one for one in self.ramps if one[0] not in gone]))
            if weights
            else None
        )


def load_profile(name: str, *, config_dir: Path | None = None) -> Profile | None:
    """Return a trader's profile by its name or its file, None for "off".

    Raises:
        ConfigError: there is no such profile, or a value of it does not fit.
    """
    return load_trader(name, config_dir=config_dir)[0]


def load_trader(name: str, *, config_dir: Path | None = None) -> tuple[Profile | None, tuple[Adaptation, ...]]:
    """Return a trader's profile by its name or its file, and how its traits follow the regime; None for "off".

    Raises:
        ConfigError: there is no such profile, or a value of it does not fit.
    """
    if name == OFF:
        return None, ()
    path = _find(name, _PROFILES, config_dir)
    values = dict(_mapping(path))
    adapts = values.pop("adapts", {})
    try:
        profile = parse_params(Profile, values)
        return profile, parse_adaptations(adapts, profile)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def load_preset(
    name: str, *, config_dir: Path | None = None, live: bool = False, known: Iterable[str] = ()
) -> Preset | None:
    """Return a cosmic preset by its name or its file, None when nothing of it is enabled.

    The name `only_FACTOR` (or `only:FACTOR`) needs no file: that factor alone at weight 1.

    Args:
        name: the preset.
        config_dir: the directory of base.yaml; see `config_home`.
        live: clamp to less risk, whatever the file says.
        known: factors beyond those that have a table of influences, as the registry names them.

    Raises:
        ConfigError: there is no such preset or factor, or a value of it does not fit.
    """
    if name == OFF:
        return None
    factors = {*FACTORS, *known}
    name = name.replace("only:", ONLY)
    alone = name.removeprefix(ONLY)
    if name.startswith(ONLY) and alone in factors and not _path(name, _PRESETS, config_dir).is_file():
        return Preset(((alone, 1.0),), Application(live=live))
    path = _find(name, _PRESETS, config_dir)
    try:
        return _preset(_mapping(path), factors, live=live)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def profile_names(config_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names of the profiles, "off" among them."""
    return _names(_PROFILES, config_dir)


def preset_names(config_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names of the presets that have a file, "off" among them."""
    return _names(_PRESETS, config_dir)


def config_home() -> Path:
    """Return the directory of the configuration: OMEGA_CONFIG_DIR, ./config or the project's own."""
    named = os.environ.get("OMEGA_CONFIG_DIR", "")
    project = Path(__file__).resolve().parents[2] / "config"
    return Path(named) if named else next((path for path in (Path("config"), project) if path.is_dir()), project)


def _preset(config: Mapping[str, Any], factors: set[str], *, live: bool) -> Preset | None:
    for key in config:
        _known(key, ("about", "cosmic_factors", "application", "place"), "key")
    chosen = config.get("cosmic_factors", {})
    if not isinstance(chosen, Mapping):
        raise ConfigError(f"cosmic_factors is {chosen!r}; write the factors below it, each with enabled and weight")
    for factor in chosen:
        if factor != "enabled":
            _known(factor, sorted(factors), "factor")
    application = Application.of({"live": False, **config.get("application", {})} | ({"live": True} if live else {}))
    weights = factor_weights(chosen)
    latitude, longitude = (_degrees(config.get("place", {}), key) for key in _PLACE)
    if not weights or not application.enabled:
        return None
    ramps = tuple(sorted((name, ramp) for name, ramp in factor_ramps(chosen).items() if name in weights))
    return Preset(tuple(sorted(weights.items())), application, latitude, longitude, ramps)


def _degrees(place: Mapping[str, Any], key: str) -> float:
    default, most = _PLACE[key]
    value = place.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise ConfigError(f"place.{key} = {value!r} lies outside {-most:g} to {most:g}; give degrees inside")
    return float(value)


def _known(name: str, names: Iterable[str], what: str) -> None:
    listed = dict.fromkeys(names)
    if name not in listed:
        raise ConfigError(f"unknown {what} {name!r}{nearest(str(name), listed)}; valid are {', '.join(listed)}")


def _path(name: str, kind: str, config_dir: Path | None) -> Path:
    return (config_dir or config_home()) / kind / f"{name}.yaml"


def _find(name: str, kind: str, config_dir: Path | None) -> Path:
    given = Path(name)
    path = given if given.suffix in {".yaml", ".yml"} else _path(name, kind, config_dir)
    if not path.is_file():
        names = dict.fromkeys(_names(kind, config_dir))
        raise ConfigError(f"{kind}: there is no {name!r}{nearest(name, names)}; known are {', '.join(names)}")
    return path


def _names(kind: str, config_dir: Path | None) -> tuple[str, ...]:
    home = (config_dir or config_home()) / kind
    return tuple(sorted({OFF, *(path.stem for path in home.glob("*.yaml"))}))


def _mapping(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}; repair the file") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no mapping; write one key a line")
    return values
