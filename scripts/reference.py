"""Write the reference pages from the code: settings, metrics and alerts, bots, command line. Called by `make docs`."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer
from pydantic import BaseModel, SecretStr

from omega.analytics.evidence import POOLED, evidence
from omega.cli.app import build
from omega.config import Settings, json_schema, reload_of, unit_of
from omega.plugins import analyses, describe, factors, personas, strategies, venues
from omega.telemetry.catalogue import ALERTS, METRICS

ROOT = Path(__file__).resolve().parent.parent
HEAD = "Generated from the code by `make docs`; edit the code, not this page.\n"
_METHOD = (
    "A call is entered at the close of the bar from which it was known; no rule was fitted to these markets, so all",
    "of it is out of sample. `target`: the first target before the invalidation, within 50 bars; where one bar trades",
    "both, or neither is reached, the odds of a fair game from there. `h5`, `h20`: price stands on the called side so",
    "many bars later. Chance: entries at random bars after the call, on the same side, with its distances in average",
    "true ranges, where volatility was most alike. Intervals and p-values resample whole stretches of time: calls that",
    "crowd, and markets that move together, count once. q corrects p for the false discovery rate over every row that",
    "was measured together; beats chance means q at most 0.05. Markets are pooled here; the rows of each stand in",
    "`omega/analytics/data/evidence.csv`, which `make evidence` measures anew. A rate above chance is no profit: costs",
    "are not in it.",
)


def settings_page() -> str:
    """Return every setting with unit, default and reload class."""
    lines = [
        "# Settings",
        "",
        HEAD,
        "Layers, later ones win: `base.yaml`, `env/<OMEGA_ENV>.yaml`, `bots/*.yaml`, `cosmic.yaml`, `risk.yaml`,",
        "the mounted ConfigMap (`OMEGA_LIVE_DIR`), secret files (`OMEGA_SECRETS_DIR`, named `section__field`),",
        "`OMEGA_SECTION__FIELD` variables, `--set section.field=value`.",
        "",
        "A change takes effect at once (live), between two bars (bar), or when the process starts again (restart).",
    ]
    for name, info in Settings.model_fields.items():
        kind = info.annotation
        rows = list(_rows("", kind)) if isinstance(kind, type) and issubclass(kind, BaseModel) else _bot_rows()
        lines += ["", f"## {name}", "", "| setting | default | unit | reload | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{path}` | `{default}` | {unit} | {reload} | {doc} |" for path, default, unit, reload, doc in rows
        ]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return every metric and alert."""
    lines = ["# Metrics and alerts", "", HEAD, "| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    lines += [f"| `{m.full_name}` | {m.kind} | {m.unit} | {', '.join(m.labels)} | {m.help} |" for m in METRICS]
    lines += ["", "## Alerts", "", "| alert | when | for | severity | runbook |", "|---|---|---|---|---|"]
    for alert in ALERTS:
        page = alert.runbook.removeprefix("docs/")
        lines.append(f"| {alert.name} | `{alert.expression}` | {alert.for_} | {alert.severity} | [page](../{page}) |")
    return "\n".join(lines) + "\n"


def schema_page() -> str:
    """Return the JSON Schema of all settings, a section a service: editors complete and check the files with it."""
    return json.dumps(json_schema(), indent=2) + "\n"


def layers_page() -> str:
    """Return the layers of the house as the import contracts enforce them, drawn and listed."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [contract["layers"] for contract in tools["contracts"] if contract["type"] == "layers"]
    lines = ["# Layers", "", HEAD, "Imports go down alone; what stands side by side does not know its neighbour.", ""]
    lines += ["```mermaid", "flowchart TB"]
    boxes = [[name.strip() for name in layer.split("|")] for layer in layers]
    for number, row in enumerate(boxes):
        lines += [f"  subgraph layer{number}[ ]", *(f'    {_node(name)}["{name}"]' for name in row), "  end"]
    for number in range(len(boxes) - 1):
        lines.append(f"  layer{number} --> layer{number + 1}")
    lines += ["```", "", "`make imports` fails where one of these is broken:", ""]
    for contract in tools["contracts"]:
        named = contract.get("source_modules") or contract.get("modules") or contract.get("layers", ())
        never = f", never {', '.join(contract['forbidden_modules'])}" if "forbidden_modules" in contract else ""
        lines.append(f"- **{contract['name']}** ({contract['type']}): {', '.join(named)}{never}")
    return "\n".join(lines) + "\n"


def _node(name: str) -> str:
    return name.replace(".", "_")


def bots_page() -> str:
    """Return every plug-in: strategies with their parameters, factors, personas, venues."""
    for registry in (strategies, factors, personas, venues, analyses):
        registry.discover()
    lines = ["# Bots, factors, personas, venues", "", HEAD]
    for entry in strategies:
        kind = "read-only" if entry.read_only else "trades"
        lines += [f"## {entry.name} ({kind})", "", entry.doc, "", f"Reasons: {', '.join(entry.reasons)}.", ""]
        lines += ["| parameter | default | range | unit | reload | meaning |", "|---|---|---|---|---|---|"]
        for spec in describe(entry.params):
            allowed = ", ".join(map(str, spec.choices)) if spec.choices else f"{spec.low} to {spec.high}"
            lines.append(f"| `{spec.name}` | {spec.default} | {allowed} | {spec.unit} | {spec.reload} | {spec.doc} |")
        lines.append("")
    lines += [
        "## Cosmic factors (unproven, off by default)",
        "",
        "| factor | kind | unit | range | source | meaning |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{f.name}` | {f.kind} | {f.unit} | {f.span[0]:g} to {f.span[1]:g} | {f.source} | {f.doc} |" for f in factors
    ]
    lines += ["", "## Personas", "", "| persona | tone |", "|---|---|"]
    lines += [f"| `{p.name}` | {p.tone} |" for p in personas]
    lines += ["", "## Venues", "", "See [venues](venues.md)."]
    lines += ["", "## Analyses (`omega analyze`, `/analyse`)", "", "| analysis | says | needs | parameters |"]
    lines += ["|---|---|---|---|"]
    for entry in analyses:
        knobs = ", ".join(
            f"`{spec.name}` ({spec.default}{' ' + spec.unit if spec.unit else ''})" for spec in describe(entry.params)
        )
        asked = ", ".join([*entry.needs, *(f"{one} where there is one" for one in entry.uses)])
        lines.append(f"| `{entry.name}` | {entry.doc} | {asked} | {knobs} |")
    return "\n".join(lines) + "\n"


def venues_page() -> str:
    """Return the capability matrix of every venue, with what its adapter has been run against."""
    venues.discover()
    declared: dict[str, Any] = {entry.name: entry.adapter.capabilities for entry in venues}  # type: ignore[attr-defined]
    cells = {name: capabilities.cells() for name, capabilities in declared.items()}
    lines = ["# Venues", "", HEAD]
    lines += ["Set `trading.venue` to one of them. To add one: [how](../howto/add-a-venue.md).", ""]
    lines += [
        "No adapter here has been run against a live venue. Bitget is tested end to end over the local exchange; the",
        "others over a local server that answers in the shapes of the venues' documents. Begin in paper mode.",
        "",
    ]
    lines += [f"| | {' | '.join(f'`{name}`' for name in cells)} |", f"|---{'|---' * len(cells)}|"]
    for label in next(iter(cells.values())):
        lines.append(f"| {label} | {' | '.join(of[label].replace('|', '/') for of in cells.values())} |")
    for name, capabilities in declared.items():
        lines += ["", f"## {name}", "", *(f"- {note}" for note in capabilities.notes)]
        kinds: dict[str, list[str]] = {}
        for code, kind in venues.get(name).adapter.refusals.codes.items():  # type: ignore[attr-defined]
            kinds.setdefault(kind.value, []).append(f"`{code}`")
        lines += ["", "| refusal | codes |", "|---|---|"]
        lines += [f"| {kind} | {' '.join(sorted(codes))} |" for kind, codes in sorted(kinds.items())]
    return "\n".join(lines) + "\n"


def analytics_page() -> str:
    """Return how often every pattern and forecast came true, against chance, those that do not beat it among them."""
    rows = [row for row in evidence() if row.dataset == POOLED]
    lines = ["# Analytics: what was measured", "", HEAD.replace("the code", "the code and the measured rows"), *_METHOD]
    for family in dict.fromkeys(row.family for row in rows):
        for timeframe in dict.fromkeys(row.timeframe for row in rows if row.family == family):
            told = [row for row in rows if (row.family, row.timeframe) == (family, timeframe)]
            counts = [
                f"{sum(row.verdict is v for row in told)} {v.value}" for v in dict.fromkeys(r.verdict for r in told)
            ]
            lines += ["", f"## {family}, {timeframe}", "", f"{len(told)} rows: {', '.join(sorted(counts))}.", ""]
            lines += ["| call | side | measure | n | came true | 95 % interval | chance | p | q | verdict |"]
            lines += ["|---|---|---|---|---|---|---|---|---|---|"]
            lines += [
                f"| {r.name} | {r.direction} | {r.measure} | {r.n:,} | {r.rate:.1%} | {r.low:.1%} to {r.high:.1%} |"
                f" {r.base_rate:.1%} | {r.p_value:.3f} | {r.q_value:.3f} | {r.verdict.value} |"
                for r in told
            ]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Return every command with its options."""
    lines = ["# Command line", "", HEAD]
    lines += ["Exit codes: 0 fine, 1 a finding, 2 usage or configuration, 3 environment.", ""]
    for path, command in _commands(typer.main.get_command(build()), "omega"):
        lines += [f"## `{path}`", "", (command.help or "").strip(), ""]
        options = [p for p in command.params if p.name != "help"]
        if options:
            lines += ["| option | default | meaning |", "|---|---|---|"]
            for option in options:
                names = ", ".join(f"`{name}`" for name in option.opts)
                text = getattr(option, "help", "") or ""
                shown = "" if option.default in (None, "", False) or callable(option.default) else option.default
                lines.append(f"| {names} | {shown} | {text.replace('|', '/')} |")
            lines.append("")
        if command.epilog:
            lines += [command.epilog.strip(), ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


def _rows(prefix: str, section: type[BaseModel]) -> Iterator[tuple[str, str, str, str, str]]:
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(f"{prefix}{name}.", kind)
            continue
        default = "" if info.is_required() else _shown(info.get_default(call_default_factory=True))
        yield (
            f"{prefix}{name}",
            default,
            unit_of(info),
            reload_of(info).value,
            (info.description or "").replace("|", "/"),
        )


def _bot_rows() -> list[tuple[str, str, str, str, str]]:
    from omega.config import Bot

    return [(f"NAME.{path}", *rest) for path, *rest in _rows("", Bot)]  # type: ignore[misc]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return ""
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, BaseModel):
        return type(value).__name__
    return str(getattr(value, "value", value))


PAGES = {
    "analytics.md": analytics_page,
    "settings.md": settings_page,
    "settings.schema.json": schema_page,
    "layers.md": layers_page,
    "metrics.md": metrics_page,
    "bots.md": bots_page,
    "cli.md": cli_page,
    "venues.md": venues_page,
}


def main() -> int:
    """Write the pages, or name the ones that are out of date with --check."""
    late = []
    for name, make in PAGES.items():
        path, text = ROOT / "docs" / "reference" / name, make()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            late.append(name)
    if late:
        print(f"docs/reference: {', '.join(late)} out of date: run `make docs`", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
