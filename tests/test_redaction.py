"""Passwords in tracking URIs are neither printed nor stored, but in the recipe, which needs them."""

from __future__ import annotations

import json
import shlex
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_support import FakeRun, closed_port
from server import Server
from test_broken_plugins import TINY_RUN
from test_cli import ganlab

from ganlab import redaction
from ganlab.redaction import redacted, redacted_value, remember_secrets
from ganlab_mlflow import describe

#: A run of two steps with its tracker.
TRACKED = [word.replace("tracking.enabled=false", "tracking.enabled=true") for word in TINY_RUN]
#: Passwords with characters that end a URI, or a text in quotes; each with the part that no file and no line may have.
PASSWORDS = {
    "plain": ("hunter2", "hunter2"),
    "slash": ("hun/ter2", "ter2"),
    "at": ("hun@ter2", "hun"),
    "space": ("hun ter2", "ter2"),
    "quote": ("hun'ter2", "ter2"),
    "double_quote": ('hun"ter2', "ter2"),
    "hash": ("hun#ter2", "ter2"),
    "question_mark": ("hun?ter2", "ter2"),
    "colon": ("hun:ter2", "ter2"),
    "backslash": ("hun\\ter2", "ter2"),
    "percent": ("hun%2Fter2", "ter2"),
    "not_ascii": ("hünter2", "nter2"),
    "another_uri": ("hun://ter2", "ter2"),
}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setattr(redaction, "_known_pattern", None)


def with_password(password: str) -> str:
    """The URI of a port where nobody listens."""
    return closed_port().replace("//", f"//me:{password}@")


@pytest.mark.parametrize("word", ["{}", "--tracking-uri={}", "tracking.uri={}", 'tracking.uri="{}"', "tracking={{uri='{}'}}"])
@pytest.mark.parametrize(("password", "secret"), PASSWORDS.values(), ids=PASSWORDS)
def test_in_a_word_nothing_between_the_scheme_and_the_last_at_is_left(word: str, password: str, secret: str) -> None:
    text = word.format(f"postgresql+psycopg://me:{password}@host:1/db")
    assert redacted_value(text) == word.format("postgresql+psycopg://***@host:1/db")


@pytest.mark.parametrize(("password", "secret"), PASSWORDS.values(), ids=PASSWORDS)
def test_a_remembered_password_goes_in_every_form(password: str, secret: str) -> None:
    uri = f"http://me:{password}@host:1/x"
    remember_secrets(["--tracking-uri", uri])
    decoded = urllib.parse.unquote(password)
    requests_form = urllib.parse.quote(password, safe="!#$%&'()*+,/:;=?@[]~")
    forms = [password, decoded, urllib.parse.quote(decoded, safe=""), urllib.parse.quote_plus(decoded), requests_form]
    forms += [json.dumps(password)[1:-1], repr(password)[1:-1], shlex.quote(password).strip("'")]
    for form in forms:
        for text in (
            f"Invalid url: http://me:{form}@host:1/x",
            f"it said 'me:{form}' (no more)",
            f'{{"uri": "http://me:{form}@host:1/x"}}',
        ):
            assert secret not in redacted(text), text


def test_what_a_library_takes_for_a_port_or_a_path_goes_too() -> None:
    remember_secrets("http://me:hun/ter2@host:1")
    assert redacted("Port could not be cast to integer value as 'hun'") == "Port could not be cast to integer value as ***"
    assert redacted("Pool(host='me', port=80): url: /ter2@host:1/api") == "Pool(host='me', port=80): url: /***@host:1/api"
    assert redacted("/ter2%40host") == "/***%40host"


def test_ordinary_words_stay() -> None:
    remember_secrets(
        {"tracking": {"uri": "postgresql://mlflow:mlflow@host/mlflow"}, "description": "see https://host/a: b@c", "steps": [3]}
    )
    text = "ganlab_mlflow at mlflow.db, MLflow's experiment 'mlflow'; to go on: ganlab resume ring-1a2b"
    assert redacted(text) == text
    assert redacted("for mlflow:mlflow there is no entry") == "for *** there is no entry"
    remember_secrets("http://bob@host")
    assert redacted("bob at http://bob@host") == "bob at http://***@host"
    remember_secrets("http://a:b@host")
    assert redacted("data:ba, a:b") == "data:ba, ***"
    assert (
        redacted("http://host/#/experiments/1?viewStateShareKey=ganlab-runs") == "http://host/#/experiments/1?viewStateShareKey=ganlab-runs"
    )


@pytest.mark.parametrize("name", ["password", "sslpassword", "token", "access_token", "api_key", "apikey", "sig", "client_secret", "PWD"])
def test_secret_parameters_of_a_uri(name: str) -> None:
    assert redacted(f"at http://host/x?a=1&{name}=s3cret&b=2 now") == f"at http://host/x?a=1&{name}=***&b=2 now"
    assert redacted(f"postgresql://host/db?{name}=s3cret") == f"postgresql://host/db?{name}=***"


# -- everything that a run writes and prints -------------------------------------------------------------------------------


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """All files but the recipe, also those of a sweep."""
    for path in folder.rglob("*"):
        if path.is_file() and not (path.suffix == ".toml" and (path.name.startswith("recipe") or path.parent.name == "recipes")):
            yield path, path.name + path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize(("way", "kind"), [("option", "slash"), ("set", "space"), ("recipe", "double_quote"), ("environment", "at")])
def test_only_the_recipe_of_a_run_has_the_password(
    way: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], forked_mirrors: None
) -> None:
    password, secret = PASSWORDS[kind]
    uri = with_password(password)
    quoted = json.dumps(uri)
    monkeypatch.chdir(tmp_path)
    table = f'[tracking]\nuse = "mlflow"\nuri = {quoted}\n' if way == "recipe" else ""
    Path("mine.toml").write_text(f'extends = "ring"\n{table}')
    words = {"option": ["--tracking-uri", uri], "set": ["--set", f"tracking.uri={quoted}"]}.get(way, [])
    monkeypatch.setattr(sys, "argv", ["ganlab", "run", "mine.toml", *words])
    if way == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert ganlab("run", "mine.toml", *TRACKED, *words) == 0
    (run,) = Path("runs").iterdir()
    assert "/***@127.0.0.1" in json.loads((run / "mlflow.json").read_text())["uri"]
    for command in (["check", "mine.toml"], ["resume", run.name], ["sync", run.name], ["ui"], ["runs"]):
        ganlab(*command)
    printed = capsys.readouterr()
    assert "***@127.0.0.1" in printed.err
    assert [line for line in (printed.out + printed.err).splitlines() if secret in line] == []
    assert [path for path, text in texts(run) if secret in text] == []
    assert (secret in (run / "recipe.toml").read_text()) == (way != "environment")


@pytest.mark.slow
def test_no_process_of_a_sweep_writes_the_password(server: Server, tmp_path: Path) -> None:
    uris = [with_password(PASSWORDS[kind][0]) for kind in ("slash", "space")]
    options = [*TRACKED, "--name", "two"]
    for _ in range(2):  # the second time all runs are there
        done = server.run(tmp_path, "run", "ring", *options, "--grid", f"tracking.uri={','.join(map(json.dumps, uris))}")
        assert done.code == 0 and "ter2" not in done.text, done.text
    assert len(list((tmp_path / "runs").glob("*-ring-*"))) == 2
    assert [path for path, text in texts(tmp_path / "runs") if "ter2" in text] == []


@pytest.mark.parametrize("kind", ["space", "quote"])
def test_an_error_that_quotes_a_value_has_no_password(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    password, secret = PASSWORDS[kind]
    uri = f"http://me:{password}{'x' * 100}@host"  # so long that its end is cut off
    (tmp_path / "mine.toml").write_text(f'extends = "ring"\n[tracking]\nuse = "mlflow"\nuri = [{json.dumps(uri)}]\n')
    assert ganlab("check", str(tmp_path / "mine.toml")) == 2
    assert ganlab("check", "ring", "--set", f"tracking.uri=[{json.dumps(uri)}]", "--set", "a=[") == 2
    printed = capsys.readouterr().err
    assert "tracking.uri must be text in quotes, not ['http://***@host']" in printed
    assert secret not in printed


def test_the_note_tags_and_parameters_for_mlflow(tmp_path: Path) -> None:
    run = FakeRun(tmp_path)
    uri = "http://me:hun ter2@host"
    recipe = {"tracking": {"uri": uri}, "other": ["postgresql://me:hun/ter2@host"]}
    run.info |= {
        "announcements": [f"MLflow at {uri} cannot be used"],
        "command": ["ganlab", "--set", f"tracking.uri={uri}", "--set", f"x.uri={uri}"],
    }
    run.info["set"] = {"combination": {"tracking.uri": uri}}
    (run.path / "recipe.toml").write_text(f'[tracking]\nuri = "{uri}"\n')
    describe.read_recipe(run.path)
    sent = [describe.parameters(recipe), describe.tags(run.path, run.info, recipe), describe.run_name(run.path.name, run.info)]
    sent.append(redacted((run.path / "recipe.toml").read_text()))
    assert "ter2" not in json.dumps(sent)
    assert "http://***@host" in json.dumps(sent)
