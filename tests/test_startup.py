"""What a run imports up to its first step, that nobody looks there for garbage, and that optimizers need no compiler of torch's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_datasets_mnist import write_set

SPY = """
import gc, json, os, sys

import ganlab


class Spy:
    @ganlab.hookimpl
    def after_step(self, run, step):
        seen = {"modules": sorted(sys.modules), "collecting": gc.isenabled(), "frozen": gc.get_freeze_count()}
        (run.path / "seen.json").write_text(json.dumps(seen))
        import psutil
        for child in psutil.Process().children():  # MLflow's, which would take its time now
            child.kill()
        os._exit(0)


@ganlab.hookimpl
def register_tricks(register):
    register("spy", Spy)
"""
#: Each of them takes longer than all of ganlab, and none is needed for a step of the shipped recipes.
HEAVY = {"IPython", "matplotlib", "mlflow", "onnx", "pandas", "scipy", "sklearn", "sympy", "torchmetrics", "torchvision", "triton"}
COMPILER = {"torch._dynamo", "torch._inductor", "torch.distributed.tensor"}


def python(code: str, *words: str, **options: object) -> str:
    command = [sys.executable, "-W", "error", "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.mark.parametrize("recipe", ["mnist_mlp", "mnist_adaptive", "mnist_best_practices"])
def test_a_run_has_imported_nothing_heavy_by_the_end_of_its_first_step(recipe: str, tmp_path: Path) -> None:
    write_set(tmp_path / "data", count=200)
    (tmp_path / "spy.py").write_text(SPY)
    (tmp_path / "mine.toml").write_text(f'extends = "{recipe}"\nplugins = ["spy.py"]\n[[tricks]]\nuse = "spy"\n')
    words = ["run", "mine.toml", "--data-root", "data", "--set", "train.batch_size=10"]
    python("import sys; from ganlab.cli import main; main(sys.argv[1:])", *words, cwd=tmp_path)
    (file,) = tmp_path.glob("runs/*/seen.json")
    seen = json.loads(file.read_text())
    modules = set(seen["modules"])
    assert "torch.optim" in modules and "ganlab_mlflow" in modules
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert modules & COMPILER == set()
    assert seen["collecting"] and seen["frozen"] > 100_000


def test_libraries_are_looked_through_for_garbage_neither_while_they_are_imported_nor_later() -> None:
    code = """
import gc
from ganlab.cli.importing import importing
try:
    with importing():
        print(gc.isenabled())
        import torch
        raise ImportError("another one is not there")
except ImportError:
    print(gc.isenabled(), gc.get_freeze_count() > 100_000)
before = gc.get_freeze_count()
mine = [[] for _ in range(10)]
with importing():  # everything is there: what the process has made since then is its own
    print(gc.isenabled(), gc.get_freeze_count() == before)
gc.unfreeze()
gc.disable()  # somebody has decided that
import sys
del sys.modules["torch"]
with importing():
    pass
print(gc.isenabled(), gc.get_freeze_count())
"""
    assert python(code) == "False\nTrue True\nTrue True\nFalse 0\n"


PLAY = """
import hashlib, sys
import torch
from torch import optim
if sys.argv[1] == "spared":
    from ganlab.cli.lazy_compiler import delay_compiler_import
    delay_compiler_import()
    delay_compiler_import()  # the second time it finds its work done

class Subclass(optim.Adam):
    def step(self, closure=None):
        return super().step(closure)

def states(kind, **options):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    made = kind(model.parameters(), lr=0.01, **options)
    made.register_step_post_hook(lambda *given: print("stepped"))
    for turn in range(3):
        made.zero_grad()
        model(torch.randn(5, 4)).square().sum().backward()
        made.step()
        assert torch.is_grad_enabled()
        if turn == 1:
            made.load_state_dict(made.state_dict())
    assert made.step(lambda: 7.0) == 7.0
    return [*model.parameters(), *(v for s in made.state.values() for v in s.values() if torch.is_tensor(v))]

played = [(optim.Adam, {"fused": True}), (optim.AdamW, {}), (optim.SGD, {"momentum": 0.5}), (optim.RMSprop, {}), (optim.Adagrad, {})]
for kind, options in [*played, (Subclass, {"amsgrad": True}), (optim.Adam, {})]:
    digest = hashlib.sha256(b"".join(value.detach().numpy().tobytes() for value in states(kind, **options)))
    print(kind.__name__, digest.hexdigest())

weight = torch.ones(2, requires_grad=True)
through = optim.SGD([weight * 1.0], lr=0.25, differentiable=True)
(parameter,) = through.param_groups[0]["params"]
parameter.grad = weight * 2.0
through.step()
parameter.sum().backward()
print(weight.grad.tolist())
"""


@pytest.mark.slow
def test_optimizers_do_the_same_without_the_compiler() -> None:
    tell = "\nprint('torch._dynamo' in sys.modules)"
    spared, plain = (python(PLAY + tell, word).splitlines() for word in ("spared", "plain"))
    assert (spared[-1], plain[-1]) == ("False", "True")
    assert spared[:-1] == plain[:-1]
    assert spared[-2] == "[0.5, 0.5]"  # 1 - 0.25 * 2: gradients went through the step


COMPILE = """
import sys, torch
from ganlab.cli.lazy_compiler import delay_compiler_import
delay_compiler_import()
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
inputs = torch.randn(5, 4)

def turn():
    optimizer.zero_grad()
    model(inputs).square().sum().backward()
    optimizer.step()

turn()
assert "torch._dynamo" not in sys.modules
before = {name: value.clone() for name, value in model.state_dict().items()}, optimizer.state_dict()["state"][0]["exp_avg"].clone()
for play in (turn, torch.compile(turn, backend="eager"), torch.compile(optimizer.step, backend="eager")):
    play()
assert "torch._dynamo" in sys.modules
assert optimizer.state_dict()["state"][0]["step"] == 4
print(len(torch._dynamo.utils.counters["frames"]) > 0)
"""


@pytest.mark.slow
def test_what_a_script_compiles_later_is_compiled() -> None:
    assert python(COMPILE) == "True\n"


@pytest.mark.slow
def test_the_compiler_disables_what_torch_wants_disabled_once_it_is_here() -> None:
    code = """
import torch
from ganlab.cli.lazy_compiler import delay_compiler_import
delay_compiler_import()
optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)])
import torch._dynamo
asked = []
torch._dynamo.disable = lambda function: asked.append(function.__name__) or function
optimizer.zero_grad(), optimizer.zero_grad(), optimizer.state_dict()
print(asked)
"""
    assert python(code) == "['zero_grad', 'state_dict']\n"


def test_an_optimizer_with_a_step_of_its_own_is_left_alone() -> None:
    code = """
import torch
from ganlab.cli.lazy_compiler import delay_compiler_import

class Mine(torch.optim.Optimizer):
    def step(self):
        return "mine"

step = Mine.step
delay_compiler_import()
print(Mine.step is step, torch.optim.SGD.step.__name__, Mine([torch.ones(1)], {}).step())
"""
    assert python(code) == "True step mine\n"
