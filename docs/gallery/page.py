"""docs/tutorials.md: what the recipes of the five tutorials are, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import figures
from measures import Port, TrainedRecipe, read_all, read_ports
from training import BUDGETS, SEEDS, WATCHERS

from ganlab.comparison import RunGroup, Spread, verdicts
from ganlab.recipe import load_recipe
from ganlab.registry.catalogue import Catalogue

TUTORIALS = {
    "mnist_mlp": "the PyTorch tutorial",
    "mnist_matlab_adam": "the MATLAB tutorial, its derivative put right",
    "mnist_matlab_sgd": "the same, by plain gradient descent",
    "mnist_matlab_published_derivative": "the same as published, with its wrong derivative",
    "mnist_large_batch": '"GANs from scratch", its code',
    "mnist_best_practices": '"GANs from scratch", its list of best practices',
    "mnist_one_class": '"GANs from scratch", its first quick check',
    "mnist_adaptive": "adaptive extra generator steps",
    "mnist_keras_batchnorm": "the Keras tutorial",
}
TURNS = {"two_passes": "two passes", "one_pass": "one pass", "two_updates": "two updates"}


def write(folder: Path, docs: Path) -> None:
    """Read the runs in ``folder``, and write the page and its pictures into ``docs``."""
    runs, helps = read_all(folder)
    ports = read_ports(runs)
    pictures = docs / "tutorials"
    pictures.mkdir(exist_ok=True)
    figures.sheets({run.name: run.pictures for run in runs}, pictures / "samples.png")
    figures.losses(runs, pictures / "losses.png")
    figures.logits([run for run in runs if run.name in ("mnist_matlab_adam", "mnist_matlab_published_derivative")], pictures / "logits.png")
    beside = {who: sheet for port in ports for who, sheet in zip(_pair(port), port.pictures, strict=True)}
    figures.sheets(beside, pictures / "ports.png", columns=2)
    changed = {_in_place_of(name, one): one.pictures for name, one in helps.items()}
    figures.sheets(changed, pictures / "helped.png")
    (docs / "tutorials.md").write_text(page(runs, helps, ports), encoding="utf-8")
    print(f"wrote {docs / 'tutorials.md'}")


def _in_place_of(name: str, helps: TrainedRecipe) -> str:
    return f"{name}\n{', '.join(helps.overrides)}" if helps.name == name else f"in place of {name}:\n{helps.name}"


def _pair(port: Port) -> tuple[str, str]:
    return port.trained.name, f"its port, seed {port.run.seed}: {port.trained.name}"


def page(runs: Sequence[TrainedRecipe], helps: dict[str, TrainedRecipe], ports: Sequence[Port]) -> str:
    """The whole page."""
    known = {run.name: run for run in runs}
    parts = [
        "<!-- made by `python docs/gallery write`; change that, not this page -->",
        INTRODUCTION,
        "## What differs\n\n" + differences(runs),
        "## Samples\n\n![64 samples of each recipe](tutorials/samples.png)",
        "## What was measured\n\n" + measured(runs),
        "\n".join(f"- {sentence(run)}" for run in runs),
        "## Losses\n\n![Both players' losses of each recipe](tutorials/losses.png)\n\n" + ends(runs),
        "## The published derivative\n\n![D's mean logits, with the right and with the published derivative](tutorials/logits.png)\n\n"
        + derivative(known),
        "## Is it the recipe or the tutorial?\n\n" + against_ports(ports),
        "## What helps\n\n" + helped(helps, known),
        "## How this was made\n\n" + made(runs, ports),
    ]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
# Five tutorials, one loop

Five tutorials on the same subject, a small GAN on handwritten digits, have five loops, and nobody can compare them. In
ganlab they are nine recipes of one engine, `ganlab run NAME`. Each gives the numbers of its tutorial's algorithm: `tests/tutorials`
has every tutorial's algorithm written once more without ganlab, and trains both side by side on the same draws. After
200 steps in float64 the parameters of both players agree to better than 1e-10, and after 20 steps in float32 to 1e-6,
as ||a - b|| / ||b||, where both multiply matrices by the same library; and where a recipe is changed in any way that
changes the numbers, the tests notice.

Each recipe says in its comments what its tutorial says, what that leaves open, and what was chosen. `ganlab describe
NAME` prints its layers."""


HELPED = """\
What helps the recipes that collapse, tried on the same three seeds. Where the published derivative holds D back by mistake, the recipe of
`mnist_matlab_adam` collapses with no seed, though three seeds do not prove it better. `mnist_matlab_sgd` needs another optimizer. The two
recipes that take 6,000 images at once have made only 1,200 steps when they have seen the data 120 times, and their tutorial trains on for
hours; batches of 100 make more of fewer images. In `mnist_one_class` D becomes sure of nearly all images; with a penalty on its gradient
at real images (R1) it stays near guessing, and G goes on learning from it."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def differences(runs: Sequence[TrainedRecipe]) -> str:
    """What the recipes do not share, from the recipes as they were run."""
    rows = []
    for run in runs:
        d = run.document
        schedule, train, loss, adam = d["schedule"], d["train"], d["loss"], d["generator"]["optimizer"]
        turn = TURNS[schedule["discriminator_turn"]]
        turn += "" if turn == "two updates" else f", {schedule['discriminator_loss']}"
        batch = str(train["batch_size"])
        batch += f" (D: {train['discriminator_batch_size']} of each side)" if "discriminator_batch_size" in train else ""
        law = "saturating" if loss["saturating"] else "non-saturating"
        law += "" if loss["derivative"] == "exact" else ", published derivative"
        first = "G" if schedule["order"] == "generator_first" else "D"
        noise = "reused for D" if schedule["noise"] == "per_step" else "fresh"
        optimizer = f"{adam['use']} {adam['lr']:g}" + (", eps-hat" if adam.get("epsilon_hat") else "")
        tricks = [t["use"] for t in d.get("tricks", []) if t["use"] not in WATCHERS and t.get("enabled", True)]
        rows.append([f"`{run.name}`", batch, first, turn, noise, law, optimizer, ", ".join(tricks)])
    told = table(["recipe", "batch", "first", "D's turn", "noise", "G's loss", "optimizer", "tricks that change the game"], rows)
    return f"{told}\n\n" + "\n".join(f"- `{name}`: {text}." for name, text in TUTORIALS.items())


METRICS = {"frechet_ratio": "FD / floor", "classes": "digits", "class_kl": "KL", "coverage": "coverage", "precision": "precision"}


def measured(runs: Sequence[TrainedRecipe]) -> str:
    """The table of what was measured."""
    head = ["recipe", "steps", "of the tutorial's budget", "minutes", *METRICS.values(), "collapsed"]
    rows = []
    for run in runs:
        budget = [f"{run.first.step:,}", f"{budget_share(run.name):.0%}", str(Spread.of(result.minutes for result in run.results))]
        rows.append([f"`{run.name}`", *budget, *(str(run.spread(name)) for name in METRICS), f"{len(run.collapsed)} of {len(run.results)}"])
    about = runs[0].first.about
    return (
        f"Mean ± standard deviation over {len(SEEDS)} seeds, of {about['samples']:,} samples of each run, as `ganlab evaluate` "
        "measures them "
        f"in the {about['feature_dimensions']} features of a judge: {about['judge']}. *FD / floor* is the Fréchet distance as a "
        "multiple of "
        f"that between as many training and held-out images, {runs[0].first.values['frechet_floor']:.3g}; *digits* are those "
        "that are there, "
        "*KL* says how uneven they are, *coverage* is the share of real images near which there is a sample, and *precision* the share of "
        "samples that are near a real image ([evaluation](evaluation.md) says all of it exactly). The judge reads a digit into "
        "anything: look "
        "at the samples, too. `mnist_one_class` is held against images of its one digit.\n\n"
        f"{table(head, rows)}"
    )


def budget_share(name: str) -> float:
    """The budget here as a share of the recipe's own, which is its tutorial's."""
    key, _, number = BUDGETS[name].partition("=")
    whole = getattr(load_recipe(name, Catalogue.of_installed()).train, key.removeprefix("train."))
    return int(number) / whole if whole else 1.0


def sentence(run: TrainedRecipe) -> str:
    """What became of one recipe, from its figures alone."""
    count, there, known = len(run.results), run.spread("classes"), run.first.about["classes_of_real"]
    gone = len(run.collapsed)
    if gone == count:
        said = f"collapsed with all {count} seeds: {run.first.collapsed}"
    elif gone:
        said = f"collapsed with {gone} of {count} seeds; with the others {_digits(run, known)}"
    else:
        said = _digits(run, known)
    near = run.spread("precision").mean
    return f"`{run.name}` {said}{f'; {near:.0%} of its samples are near a real image' if near < 0.7 and there.mean > 1 else ''}."


def _digits(run: TrainedRecipe, known: object) -> str:
    """How many digits the runs show that have not collapsed."""
    counts = sorted({int(result.values["classes"]) for result in run.results if not result.collapsed})
    return f"shows {' to '.join(map(str, {counts[0], counts[-1]} if len(counts) > 1 else counts))} of {known} digits"


def ends(runs: Sequence[TrainedRecipe]) -> str:
    """Losses and scores over the last tenth of each run."""
    rows = []
    for run in runs:
        values = [f"{run.last(name):.3f}" for name in ("loss/discriminator", "loss/generator", "score/real", "score/fake")]
        right = f"{run.last('accuracy/real'):.0%} / {run.last('accuracy/fake'):.0%}"
        rows.append([f"`{run.name}`", *values, right])
    head = ["recipe", "D's loss", "G's loss", "D(x)", "D(G(z))", "D right on real / fake"]
    return (
        "Means over the last tenth of each run, as D's turn has them before its update. The dotted line is D's loss where it can "
        "only guess: "
        f"log 4 for a sum of both sides, log 2 for their mean. `mnist_adaptive`'s G minimises log(1 - D(G(z))), a negative "
        f"number.\n\n{table(head, rows)}"
    )


def derivative(runs: dict[str, TrainedRecipe]) -> str:
    """What the wrong derivative does to D, from the figures."""
    right, wrong = runs["mnist_matlab_adam"], runs["mnist_matlab_published_derivative"]
    highest = max(right.curve("logit/real")[1]), max(wrong.curve("logit/real")[1])
    (against,) = verdicts([RunGroup("the right one", right.results), RunGroup("the published one", wrong.results)], "frechet_ratio")
    lines = [
        "The derivative of the cross-entropy with respect to a logit x is sigmoid(x) - y. The published code computes 2 - "
        "sigmoid(x) - y for "
        "x > 0, so D is pulled back from every positive logit, on real images too. Both recipes are the same otherwise. Of seed "
        f"{right.first.seed}:",
        f"With the right derivative D's mean logit on real images rises to {highest[0]:.1f} and ends at "
        f"{right.last('logit/real'):.1f}, and on "
        f"fakes it ends at {right.last('logit/fake'):.1f}. With the published one it never exceeds {highest[1]:.2f} on real "
        "images, ends at "
        f"{wrong.last('logit/real'):.2f}, and on fakes at {wrong.last('logit/fake'):.1f}. D has "
        f"{wrong.last('accuracy/real'):.0%} of the real "
        f"images and {wrong.last('accuracy/fake'):.0%} of the fakes right then, against {right.last('accuracy/real'):.0%} and "
        f"{right.last('accuracy/fake'):.0%}.",
        f"Of all seeds FD / floor is {wrong.spread('frechet_ratio')} with the published derivative and "
        f"{right.spread('frechet_ratio')} with "
        f"the right one, and KL {wrong.spread('class_kl')} and {right.spread('class_kl')}. Of FD / floor, the published one's verdict: "
        f"{against.words}.",
    ]
    return "\n\n".join(lines)


def against_ports(ports: Sequence[Port]) -> str:
    """The recipes that were trained beside their ports."""
    rows = []
    for port in ports:
        ours, theirs = (port.run.values, port.run.collapsed), (port.values, port.collapsed)
        for who, (values, why) in ((f"`{port.trained.name}`", ours), ("its port", theirs)):
            rows.append([who, str(port.run.seed), *(f"{values[name]:.4g}" for name in METRICS), "yes" if why else "no"])
    text = (
        "A recipe that does badly may be blamed on its tutorial only if the tutorial's own algorithm does as badly. So these were trained "
        "to the end beside their ports, on the same draws, each in the recipe's precision. In float32 roundings drive the two apart, so "
        "that the port's samples are a second opinion and not a copy.\n\n"
    )
    head = ["", "seed", *METRICS.values(), "collapsed"]
    return f"{text}{table(head, rows)}\n\n![Recipes beside their ports](tutorials/ports.png)"


def helped(helps: dict[str, TrainedRecipe], runs: dict[str, TrainedRecipe]) -> str:
    """What changed option helps, with the figures before and after."""
    rows = []
    for name, after in helps.items():
        before = runs[name]
        changed = f"`{after.name}`" if after.name != name else "with " + ", ".join(f"`{text}`" for text in after.overrides)
        for who, one in ((f"`{name}`", before), (changed, after)):
            seen = [f"{one.first.step:,}", f"{one.first.info.counters['images_seen']:,}"]
            rows.append([who, *seen, *(str(one.spread(name)) for name in METRICS), f"{len(one.collapsed)} of {len(one.results)}"])
    head = ["", "steps", "images seen", *METRICS.values(), "collapsed"]
    return f"{HELPED}\n\n{table(head, rows)}\n\n![What helps](tutorials/helped.png)"


def made(runs: Sequence[TrainedRecipe], ports: Sequence[Port]) -> str:
    """The commands, and the machine."""
    info = runs[0].first.info
    beside = "\n".join(f"python docs/gallery train --port {port.trained.name} --seed {port.run.seed}" for port in ports)
    return (
        f"```sh\n{beside}\npython docs/gallery train\npython docs/gallery write\n```\n\n"
        "Each trains only what is missing; what was interrupted goes on. Seeds "
        f"{', '.join(map(str, SEEDS))}; pictures and curves are of seed {SEEDS[0]}. On {info.device} ({info.device_name}), "
        f"{info.threads} thread, torch {info.versions['torch']}, ganlab {info.ganlab}. Minutes are those of a machine "
        "that trained "
        "two at a time, with other work beside, and with a port beside a run of both. The runs were made by several states of this "
        "version, whose digits differ by roundings and by dropout's random numbers; all samples were measured by the same judge."
    )
