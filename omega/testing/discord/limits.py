"""The limits that Discord enforces on messages, components and modals, checked as Discord would.

Called by the REST routes.
"""

from collections.abc import Iterator
from typing import Any, Final

from omega.testing.discord.refusals import invalid_form

Problems = list[tuple[str, str]]
Json = dict[str, Any]

EPHEMERAL: Final = 1 << 6
COMPONENTS_V2: Final = 1 << 15
ROW, BUTTON, STRING_SELECT, TEXT_INPUT, TEXT_DISPLAY, LABEL = 1, 2, 3, 4, 10, 18
SELECTS: Final = frozenset({3, 5, 6, 7, 8})
V2_TOP_LEVEL: Final = frozenset({1, 9, 10, 12, 13, 14, 17})
LINK_STYLE: Final = 5


def check_message(message: Json) -> None:
    """Refuse a message that Discord would refuse, naming every field that is wrong."""
    problems: Problems = []
    components = message.get("components") or []
    if int(message.get("flags") or 0) & COMPONENTS_V2:
        _check_v2(message, components, problems)
    else:
        _check_legacy(message, components, problems)
    seen: set[str] = set()
    for component in walk(components):
        _check_component(component, seen, problems)
    if problems:
        raise invalid_form(problems)


def check_modal(modal: Json) -> None:
    """Refuse a modal dialog that Discord would refuse."""
    problems: Problems = []
    _length("title", modal.get("title"), 1, 45, problems)
    _length("custom_id", modal.get("custom_id"), 1, 100, problems)
    rows = modal.get("components") or []
    _between("components", len(rows), 1, 5, problems)
    if any(row.get("type") not in {ROW, TEXT_DISPLAY, LABEL} for row in rows):
        problems.append(("components", "Only labels, text displays and rows stand on the top of a modal."))
    seen: set[str] = set()
    for component in walk(rows):
        _check_component(component, seen, problems)
    if problems:
        raise invalid_form(problems)


def check_choices(choices: list[Json]) -> None:
    """Refuse an autocomplete answer with too many or too long choices."""
    problems: Problems = []
    _between("choices", len(choices), 0, 25, problems)
    for choice in choices:
        _length("choices.name", choice.get("name"), 1, 100, problems)
    if problems:
        raise invalid_form(problems)


def walk(components: list[Json]) -> Iterator[Json]:
    """Yield every component of a tree, parents first."""
    for component in components:
        yield component
        yield from walk(component.get("components") or [])
        for key in ("accessory", "component"):
            if inner := component.get(key):
                yield from walk([inner])


def _check_v2(message: Json, components: list[Json], problems: Problems) -> None:
    for field in ("content", "embeds"):
        if message.get(field):
            problems.append((field, "Cannot be used with components V2."))
    if any(component.get("type") not in V2_TOP_LEVEL for component in components):
        problems.append(("components", "This component cannot stand on the top level."))
    everything = list(walk(components))
    _between("components", len(everything), 1, 40, problems)
    text = sum(len(c.get("content", "")) for c in everything if c.get("type") == TEXT_DISPLAY)
    _between("components.content", text, 0, 4000, problems)


def _check_legacy(message: Json, components: list[Json], problems: Problems) -> None:
    content, embeds = message.get("content") or "", message.get("embeds") or []
    _between("content", len(content), 0, 2000, problems)
    if not (content or embeds or components or message.get("attachments") or message.get("sticker_ids")):
        problems.append(("content", "Cannot send an empty message."))
    _check_embeds(embeds, problems)
    _between("components", len(components), 0, 5, problems)
    if any(c.get("type") != ROW for c in components):
        problems.append(("components", "Only action rows stand on the top level."))
    for row in components:
        inner = row.get("components") or []
        buttons = [c for c in inner if c.get("type") == BUTTON]
        one_select = len(inner) == 1 and inner[0].get("type") in SELECTS
        if not one_select:
            _between("components.components", len(buttons), 1, 5, problems)
            if len(buttons) != len(inner):
                problems.append(("components.components", "A row holds buttons alone, or one select."))


def _check_embeds(embeds: list[Json], problems: Problems) -> None:
    _between("embeds", len(embeds), 0, 10, problems)
    total = 0
    for embed in embeds:
        fields = embed.get("fields") or []
        footer, author = embed.get("footer") or {}, embed.get("author") or {}
        _between("embeds.fields", len(fields), 0, 25, problems)
        _length("embeds.title", embed.get("title", ""), 0, 256, problems)
        _length("embeds.description", embed.get("description", ""), 0, 4096, problems)
        _length("embeds.footer.text", footer.get("text", ""), 0, 2048, problems)
        _length("embeds.author.name", author.get("name", ""), 0, 256, problems)
        for one in fields:
            _length("embeds.fields.name", one.get("name"), 1, 256, problems)
            _length("embeds.fields.value", one.get("value"), 1, 1024, problems)
        texts = [embed.get("title"), embed.get("description"), footer.get("text"), author.get("name")]
        texts += [text for one in fields for text in (one.get("name"), one.get("value"))]
        total += sum(len(text or "") for text in texts)
    _between("embeds", total, 0, 6000, problems)


def _check_component(component: Json, seen: set[str], problems: Problems) -> None:
    kind = component.get("type")
    if kind in {ROW, TEXT_DISPLAY, LABEL} or (kind not in SELECTS and kind not in {BUTTON, TEXT_INPUT}):
        return
    if kind == BUTTON and component.get("style") == LINK_STYLE:
        if not component.get("url") or component.get("custom_id"):
            problems.append(("components.url", "A link button has a url and no custom_id."))
        return
    custom_id = component.get("custom_id") or ""
    _length("components.custom_id", custom_id, 1, 100, problems)
    if custom_id in seen:
        problems.append(("components.custom_id", "Component custom id cannot be duplicated."))
    seen.add(custom_id)
    _length("components.label", component.get("label") or "", 0, 80, problems)
    options = component.get("options")
    if kind == STRING_SELECT:
        _between("components.options", len(options or ()), 1, 25, problems)
    for option in options or ():
        _length("components.options.label", option.get("label"), 1, 100, problems)
        _length("components.options.value", option.get("value"), 1, 100, problems)


def _length(field: str, text: str | None, low: int, high: int, problems: Problems) -> None:
    _between(field, len(text or ""), low, high, problems)


def _between(field: str, size: int, low: int, high: int, problems: Problems) -> None:
    if not low <= size <= high:
        problems.append((field, f"Must be between {low} and {high} in length."))
