"""docs/tutorials.md: what the recipes of the five tutorials are, and what came of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import figures
from measures import PRESENT, SURE, Judge, Trained, measure_run
from training import BUDGETS, SAMPLES

from ganlab.catalogue import Catalogue
from ganlab.recipe import load_recipe

COLLAPSED_SHARE, COLLAPSED_VARIETY = 0.5, 0.5  # more than this of one digit, or less than this of the real images' variety

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
    """Measure the runs in ``folder``, and write the page and its pictures into ``docs``."""
    judge = Judge(Path(os.environ["GANLAB_DATA"]))
    runs = [measure_run(judge, folder, name) for name in BUDGETS]
    pictures = docs / "tutorials"
    pictures.mkdir(exist_ok=True)
    figures.samples(runs, pictures / "samples.png")
    figures.losses(runs, pictures / "losses.png")
    both = [run for run in runs if run.name in ("mnist_matlab_adam", "mnist_matlab_published_derivative")]
    figures.logits(both, pictures / "logits.png")
    with_port = [run for run in runs if run.port is not None]
    if with_port:
        figures.ports(with_port, pictures / "ports.png")
    (docs / "tutorials.md").write_text(page(runs, judge), encoding="utf-8")
    print(f"wrote {docs / 'tutorials.md'}")


def page(runs: Sequence[Trained], judge: Judge) -> str:
    """The whole page."""
    parts = [
        "<!-- made by `python docs/gallery write`; change that, not this page -->",
        INTRODUCTION,
        "## What differs\n\n" + differences(runs),
        "## Samples\n\n![64 samples of each recipe](tutorials/samples.png)",
        "## What is seen\n\n" + measured(runs, judge),
        "\n".join(f"- {sentence(run)}" for run in runs),
        "## Losses\n\n![Both players' losses of each recipe](tutorials/losses.png)\n\n" + ends(runs),
        "## The published derivative\n\n![D's mean logits, with the right and with the published derivative](tutorials/logits.png)\n\n"
        + derivative({run.name: run for run in runs}),
        "## Is it the recipe or the tutorial?\n\n" + against_ports(runs),
        "## How this was made\n\n" + made(runs),
    ]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
# Five tutorials, one loop

Five tutorials on the same subject, a small GAN on handwritten digits, have five loops, and nobody can compare them. In
ganlab they are nine recipes of one engine, `ganlab run NAME`. Each gives the numbers of its tutorial: `tests/tutorials`
has every tutorial's algorithm written once more without ganlab, and trains both side by side on the same draws. After
200 steps in float64 the parameters of both players agree to better than 1e-10, and after 20 steps in float32 to 1e-6,
as ||a - b|| / ||b||; and where a recipe is changed in any way that changes the numbers, the tests notice.

Each recipe says in its comments what its tutorial says, what that leaves open, and what was chosen. `ganlab describe
NAME` prints its layers."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def differences(runs: Sequence[Trained]) -> str:
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
        tricks = [t["use"] for t in d.get("tricks", []) if t["use"] not in ("loss_plot", "system_metrics") and t.get("enabled", True)]
        rows.append([f"`{run.name}`", batch, first, turn, noise, law, optimizer, ", ".join(tricks)])
    told = table(["recipe", "batch", "first", "D's turn", "noise", "G's loss", "optimizer", "tricks"], rows)
    return f"{told}\n\n" + "\n".join(f"- `{name}`: {text}." for name, text in TUTORIALS.items())


def measured(runs: Sequence[Trained], judge: Judge) -> str:
    """The table of what the classifier sees."""
    rows = []
    for run in runs:
        m = run.measures
        rows.append(
            [
                f"`{run.name}`",
                f"{run.info['counters']['step']:,}",
                f"{budget_share(run.name):.0%}",
                f"{run.info['training_seconds'] / 60:.1f}",
                str(len(m.present)),
                f"{m.divergence:.3f}",
                f"{m.sure:.0%}",
                f"{m.variety:.2f}",
            ]
        )
    head = [
        "recipe",
        "steps",
        "of the tutorial's budget",
        "minutes",
        f"digits with >= {PRESENT:.0%}",
        "KL to even shares",
        f"sure (>= {SURE:.0%})",
        "variety",
    ]
    return (
        f"{SAMPLES:,} samples of each generator, read by a classifier that has {judge.accuracy:.2%} of MNIST's test images right "
        f"and is sure of "
        f"{judge.real_sure:.0%} of them. *Variety* is the mean distance of two samples of the same digit, as a share of the same "
        f"for real "
        f"images; a sample that is no digit at all is varied too. The classifier reads a digit into anything: look at the samples, too."
        f"\n\n{table(head, rows)}"
    )


def budget_share(name: str) -> float:
    """The budget here as a share of the recipe's own, which is its tutorial's."""
    key, _, number = BUDGETS[name].partition("=")
    whole = getattr(load_recipe(name, Catalogue.of_installed()).train, key.removeprefix("train."))
    return int(number) / whole if whole else 1.0


def sentence(run: Trained) -> str:
    """What became of one recipe, from its figures alone."""
    m = run.measures
    top = int(m.shares.argmax())
    missing = [str(digit) for digit in range(10) if digit not in m.present]
    if run.name == "mnist_one_class":
        wanted = m.shares[1]
        said = f"{wanted:.1%} of the samples are read as the digit 1, which is all that it was shown"
        said += f"; but they are nearly one image: their variety is {m.variety:.2f}" if m.variety < COLLAPSED_VARIETY else ""
    elif m.variety < COLLAPSED_VARIETY or m.shares[top] > COLLAPSED_SHARE:
        said = f"collapsed: {m.shares[top]:.0%} of the samples are read as {top}, and their variety is {m.variety:.2f}"
    elif missing:
        said = f"{len(m.present)} of ten digits; missing: {', '.join(missing)}. {m.shares[top]:.0%} of the samples are read as {top}"
    else:
        least = int(m.shares.argmin())
        said = f"covers all ten digits, from {m.shares[least]:.1%} (of {least}) to {m.shares[top]:.1%} (of {top})"
    unclear = f"; but the classifier is sure of no more than {m.sure:.0%}" if m.sure < 0.7 else ""
    return f"`{run.name}` {said}{unclear}."


def ends(runs: Sequence[Trained]) -> str:
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


def derivative(runs: dict[str, Trained]) -> str:
    """What the wrong derivative does to D, from the figures."""
    right, wrong = runs["mnist_matlab_adam"], runs["mnist_matlab_published_derivative"]
    highest = max(right.metrics["logit/real"][1]), max(wrong.metrics["logit/real"][1])
    lines = [
        "The derivative of the cross-entropy with respect to a logit x is sigmoid(x) - y. The published code computes 2 - "
        "sigmoid(x) - y "
        "for x > 0, so D is pulled back from every positive logit, on real images too. Both runs are the same otherwise, the seed "
        "included.",
        f"With the right derivative D's mean logit on real images rises to {highest[0]:.1f} and ends at "
        f"{right.last('logit/real'):.1f}, and on "
        f"fakes it ends at {right.last('logit/fake'):.1f}. With the published one it never exceeds {highest[1]:.2f} on real "
        f"images, ends at "
        f"{wrong.last('logit/real'):.2f}, and on fakes at {wrong.last('logit/fake'):.1f}. D has "
        f"{wrong.last('accuracy/real'):.0%} of the real images and {wrong.last('accuracy/fake'):.0%} of the fakes right then, against "
        f"{right.last('accuracy/real'):.0%} and {right.last('accuracy/fake'):.0%}.",
        f"Of the samples the classifier is sure of {wrong.measures.sure:.0%} with the published derivative and of "
        f"{right.measures.sure:.0%} with the right "
        f"one; the KL divergences to even shares are {wrong.measures.divergence:.3f} and {right.measures.divergence:.3f}. One "
        f"seed each.",
    ]
    return "\n\n".join(lines)


def against_ports(runs: Sequence[Trained]) -> str:
    """The recipes that were trained beside their ports."""
    rows = []
    for run in runs:
        if run.port is not None:
            for who, m in ((f"`{run.name}`", run.measures), ("its port", run.port)):
                top = int(m.shares.argmax())
                rows.append(
                    [who, str(len(m.present)), f"{m.shares[top]:.0%} of {top}", f"{m.divergence:.3f}", f"{m.sure:.0%}", f"{m.variety:.2f}"]
                )
    text = (
        "A recipe that does badly may be blamed on its tutorial only if the tutorial's own algorithm does as badly. So these were "
        "trained to the end beside their ports, on the same draws, each in the recipe's precision. In float32 roundings drive the "
        "two apart, so "
        "that the port's samples are a second opinion and not a copy.\n\n"
    )
    return text + table(["", "digits", "most", "KL", "sure", "variety"], rows) + "\n\n![Recipes beside their ports](tutorials/ports.png)"


def made(runs: Sequence[Trained]) -> str:
    """The commands, and the machine."""
    info = runs[0].info
    ports = " ".join(run.name for run in runs if run.port is not None)
    return (
        f"```sh\n{f'python docs/gallery train --port {ports}' if ports else ''}\npython docs/gallery train\npython docs/gallery "
        f"write\n```\n\n"
        f"Seed 0 throughout, on {info['device']} ({info['device_name']}), {info['threads']} thread(s), torch "
        f"{info['versions']['torch']}, ganlab "
        f"{info['ganlab']}. Minutes are those of a machine that did other work beside, and with a port beside a run, of both."
    )
