"""Write the pages that are made from the code: ``python docs/generate.py``; with ``--check`` only say which are out of date.

docs/hooks.md (every hook with its exact signature and its example of docs/examples/hooks), docs/cli.md (every command's help),
docs/components.md (every component and trick with its options) and docs/recipe.schema.json (what an editor completes recipes with).
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import click
from sources import pages_with_sources

from ganlab.cli import cli
from ganlab.hookspecs import RegistrationHooks, RunHooks
from ganlab.recipe import schema
from ganlab.recipe.documented import option_texts
from ganlab.recipe.manual import options_of, snippet
from ganlab.registry.catalogue import HOOK_OF, Catalogue
from ganlab.registry.entry import Entry

HERE = Path(__file__).resolve().parent
ABOUT_EXAMPLES = """\
The example of each hook is a file of `docs/examples/hooks`, and is played by a test. Those of run hooks are tricks, to be handed to
`ganlab.run(..., tricks=[BatchDeviation()])`; a function `register_tricks`, as in the [example of that hook](#register_tricks), makes a
plugin of one, which recipes can name.
"""
MADE = "<!-- made by docs/generate.py; change the code, not this page -->\n\n"


def hooks_page() -> str:
    """The hooks, from their specifications."""
    module = sys.modules[RunHooks.__module__]
    parts = [MADE, "# Hooks\n\n", inspect.getdoc(module) or "", f"\n\n{ABOUT_EXAMPLES}"]
    for title, owner in (("Registration hooks", RegistrationHooks), ("Run hooks", RunHooks)):
        parts += [f"\n## {title}\n\n", inspect.getdoc(owner) or "", "\n"]
        for name, spec in vars(owner).items():
            if hasattr(spec, "ganlab_spec"):
                parts += [
                    f"\n### `{name}`\n\n```python\ndef {signature(name, spec, owner is RunHooks)}\n```\n\n",
                    inspect.getdoc(spec) or "",
                    "\n",
                ]
                parts.append(example(name))
    return "".join(parts)


def example(hook: str) -> str:
    """A hook's example: what its file's docstring says, and its code."""
    _, words, code = (HERE / "examples" / "hooks" / f"{hook}.py").read_text(encoding="utf-8").split('"""', 2)
    return f"\nExample. {words}\n\n```python\n{code.strip()}\n```\n"


def signature(name: str, spec: object, method: bool) -> str:
    """A hook's signature as a plugin author writes it: that of a function, or of a method."""
    assert callable(spec)
    whole = inspect.signature(spec)
    own = whole.replace(parameters=[one for one in whole.parameters.values() if method or one.name != "self"])
    return f"{name}{own}".replace("'", "")


def cli_page() -> str:
    """The help of every command."""
    parts = [MADE, "# The command line\n"]
    context = click.Context(cli, info_name="ganlab", terminal_width=100, max_content_width=100)
    parts.append(f"\n```text\n{cli.get_help(context)}\n```\n")
    for name in cli.list_commands(context):
        listed_command = cli.get_command(context, name)
        assert listed_command is not None
        inner = listed_command.make_context(name, [], context, resilient_parsing=True, terminal_width=100, max_content_width=100)
        command = inner.command  # a command of a plugin is imported by now
        parts.append(f"\n## `ganlab {name}`\n\n```text\n{command.get_help(inner)}\n```\n")
        for below, part in getattr(command, "commands", {}).items():
            innermost = click.Context(part, parent=inner, info_name=below, terminal_width=100, max_content_width=100)
            parts.append(f"\n### `ganlab {name} {below}`\n\n```text\n{part.get_help(innermost)}\n```\n")
    return "".join(parts)


def components_page() -> str:
    """Every component and trick, with its options."""
    parts = [
        MADE,
        '# Components and tricks\n\nWhat `use = "..."` may say, with the options of each: all that stands in its table of the recipe.\n',
    ]
    titles = {
        "network": "Networks",
        "loss": "Losses",
        "dataset": "Data sets",
        "noise": "Noise",
        "optimizer": "Optimizers",
        "metric": "Metrics",
        "judge": "Judges",
        "trick": "Tricks",
    }
    catalogue = Catalogue.of_installed()
    for kind in HOOK_OF:
        parts.append(f"\n## {titles[kind]}\n")
        for entry in catalogue.entries([kind]):
            table = f"```toml\n{snippet(entry)}\n```"
            parts.append(f"\n### `{entry.name}`\n\nFrom plugin `{entry.plugin}`.\n\n{table}\n\n{listed(entry)}\n")
    return "".join(parts).replace("\n\n```\n", "\n```\n")


def listed(entry: Entry) -> str:
    """A docstring with its options as a Markdown list. Options that only their annotations describe come first."""
    head, _, options = (inspect.getdoc(entry.factory) or "").partition("Options:\n")
    texts = option_texts(entry.factory)
    lines = [f"- `{option.name}`: {option.text}" for option in options_of(entry) if option.text and option.name not in texts]
    for line in options.splitlines():
        depth = len(line) - len(line.lstrip())
        if depth == 4 and ":" in line:
            name, _, text = line.strip().partition(":")
            lines.append(f"- `{name}`:{text}")
        else:
            lines.append(f"  {line.strip()}" if line.strip() else "")
    return "\n".join([head.rstrip(), "\nOptions:\n", *lines]) if lines else head


def pages() -> dict[Path, str]:
    """What each file should hold."""
    return {
        **pages_with_sources(),  # blocks of the repository's own code on pages that are written by hand
        HERE / "hooks.md": hooks_page(),
        HERE / "cli.md": cli_page(),
        HERE / "components.md": components_page(),
        HERE / "recipe.schema.json": json.dumps(schema(Catalogue.of_installed()), indent=2) + "\n",
    }


def main() -> None:
    """Write them, or check them."""
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is out of date: python docs/generate.py")
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
        print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
