"""`omega config`: check, show and describe the configuration. Secrets are never printed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from omega.backtest.presets import OFF, load_preset, load_profile
from omega.config.loader import Loaded, load
from omega.config.show import as_json, as_text, json_schema
from omega.plugins import parse_params, strategies

app = typer.Typer(no_args_is_help=True)
Directory = Annotated[str, typer.Option("--dir", help="Directory of base.yaml; default: OMEGA_CONFIG_DIR or ./config.")]
World = Annotated[str, typer.Option("--env", help="dev, paper or live; default: OMEGA_ENV or dev.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="**Example** `omega config check --env live --dir /etc/omega/config`")
def check(directory: Directory = "", env: World = "", as_json: Json = False) -> None:
    """Read all layers, validate the whole, and check every bot's parameters against its strategy."""
    loaded = _load(directory, env)
    settings = loaded.settings
    strategies.discover()
    for name, bot in settings.bots.items():
        entry = strategies.get(bot.strategy)
        _checked(name, entry.params, bot.params)
        load_profile(bot.psychology or OFF, config_dir=loaded.directories[0])
        load_preset(bot.cosmic or OFF, config_dir=loaded.directories[0], known=settings.cosmic.factors)
    if as_json:
        print(json.dumps({"fine": True, "generation": loaded.generation, "warnings": list(loaded.warnings)}))
        return
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    enabled = ", ".join(name for name, bot in settings.bots.items() if bot.enabled)
    print(f"fine: {settings.environment.name}, mode {settings.trading.mode}, bots {enabled}")


@app.command(epilog="**Example** `omega config show | grep trading`")
def show(directory: Directory = "", env: World = "", as_json_: Json = False) -> None:
    """Print every setting in force with its unit, its reload class and the file and line it comes from."""
    loaded = _load(directory, env)
    print(json.dumps(as_json(loaded), indent=2, default=str) if as_json_ else as_text(loaded))


@app.command(epilog="**Example** `omega config schema > settings.schema.json`")
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    print(json.dumps(json_schema(), indent=2))


def _load(directory: str, env: str) -> Loaded:
    return load(config_dir=directory or None, env=env or None)


def _checked(bot: str, params: type, given: dict[str, bool | int | float | str]) -> None:
    from omega.errors import ConfigError

    try:
        parse_params(params, given)
    except ConfigError as error:
        raise ConfigError(f"bots.{bot}.params: {error}") from None
