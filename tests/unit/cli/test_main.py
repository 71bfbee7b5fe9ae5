# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard of the command: every failure is a sentence, a hint and an exit code; a traceback only when asked for."""

from __future__ import annotations

import json
import signal
import sys

import click
import pytest

from backstay import cli
from backstay.cli import lab
from backstay.errors import BackstayError, BadInput, CannotAsk, Findings, Refused
from backstay.lab.layout import Layout


@pytest.fixture
def backstay(capsys):
    """`backstay(words)` runs the command: its exit code, stdout and stderr."""

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.fixture
def verb(monkeypatch):
    """`verb(error)` makes a verb `test` that fails with it."""

    def make(error):
        @click.command()
        @click.option("-v", "--verbose", is_flag=True, expose_value=False)
        def test():
            raise error

        module = type(sys)("backstay_test_verb")
        module.test = test
        monkeypatch.setitem(sys.modules, "backstay_test_verb", module)
        monkeypatch.setitem(cli.VERBS, "test", ("backstay_test_verb", "test"))

    return make


@pytest.mark.parametrize(
    ("kind", "code"), [(Findings, 1), (BadInput, 2), (CannotAsk, 3), (BackstayError, 3), (Refused, 4)]
)
def test_an_error_is_a_sentence_a_hint_and_its_exit_code(backstay, verb, kind, code):
    verb(kind("n1 does not answer", hint="look at its power"))
    assert backstay("test") == (code, "", "backstay: n1 does not answer\n  hint: look at its power\n")


def test_no_hint_no_line(backstay, verb):
    verb(BadInput("no"))
    assert backstay("test") == (2, "", "backstay: no\n")


@pytest.mark.parametrize("words", [("-v", "test"), ("test", "-v"), ("test", "--verbose")])
def test_the_traceback_is_shown_when_asked_for(backstay, verb, words):
    verb(BadInput("no"))
    code, _, err = backstay(*words)
    assert code == 2
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("\nbackstay: no\n")


def test_a_failure_of_backstay_itself_is_kept_and_named(backstay, verb, monkeypatch):
    from backstay.ocf.log import Log

    kept = []
    monkeypatch.setattr(Log, "error", lambda self, text: kept.append(text))
    verb(KeyError("lost"))
    code, out, err = backstay("test")
    assert (code, out) == (3, "")
    assert err.startswith("backstay: a failure of Backstay itself: KeyError: 'lost' (")
    assert "run it again with -v" in err
    assert "Traceback" not in err
    assert kept[0].startswith("Traceback")
    assert "KeyError: 'lost'" in kept


@pytest.mark.parametrize(
    ("before", "after"),
    [(signal.SIG_DFL, signal.default_int_handler), (signal.SIG_IGN, signal.SIG_IGN)],
)
def test_an_interrupt_is_answered_from_here_on_unless_it_is_ignored(backstay, before, after):
    """Until then it just ends the process (libexec/command); a command in the background ignores it."""
    ours = signal.signal(signal.SIGINT, before)
    try:
        assert backstay("--version")[0] == 0
        assert signal.getsignal(signal.SIGINT) is after
    finally:
        signal.signal(signal.SIGINT, ours)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_ends_with_130(backstay, verb, error):
    verb(error)
    code, out, err = backstay("test")
    assert (code, out, err.lstrip()) == (130, "", "backstay: interrupted\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rendr",), "there is no verb rendr (did you mean render?)"),
        (("zzz",), "there is no verb zzz\n"),
        (("render",), "one of FILE, --template, --list, --describe, --crmsh-scripts is needed"),
        (("render", "--explian", "x"), "--explian"),
        (("render", "--output", "yaml", "x"), "'yaml' is not one of 'text', 'json'"),
        (("--nothing",), "--nothing"),
    ],
)
def test_wrong_usage_ends_with_2(backstay, words, said):
    code, out, err = backstay(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_the_version_is_said(backstay):
    from backstay import __version__

    assert backstay("--version") == (0, f"backstay {__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_verb(backstay, words):
    code, out, err = backstay(*words)
    assert code == 0 or not words
    assert all(f"  {verb} " in out + err for verb in cli.VERBS)


@pytest.mark.parametrize("verb", ["apply", "render", "validate"])
def test_every_verb_has_the_options_of_all(backstay, verb):
    code, out, _ = backstay(verb, "--help")
    assert code == 0
    assert all(option in out for option in ("--output [text|json]", "-v, --verbose", "--help"))


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_can_be_loaded_and_describes_itself(verb):
    command = cli.cli.get_command(click.Context(cli.cli), verb)
    assert command.name == verb
    assert command.get_short_help_str()


def test_the_guard_is_not_silenced_by_words_for_another_program(backstay, verb):
    verb(BadInput("no"))
    code, _, err = backstay("test", "--", "-v")
    assert code == 2
    assert "Traceback" not in err


def verbs(group, context, path=()):
    """Every verb with the words that call it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, context, (*path, name))
        else:
            yield (*path, name), command


# What these print is another program's output.
OTHERS = {("lab", "exec"), ("lab", "console")}


def test_every_verb_can_be_asked_for_help_json_and_its_traceback(backstay):
    every = dict(verbs(cli.cli, click.Context(cli.cli)))
    assert {("apply",), ("render",), ("validate",), ("lab", "up"), ("lab", "audit")} <= every.keys()
    for words, command in every.items():
        given = {option for parameter in command.params for option in parameter.opts}
        assert {"--output", "-v"} <= given or words in OTHERS, words
        assert backstay(*words, "--help")[0] == 0


@pytest.mark.parametrize("words", [("lab", "status"), ("lab", "logs"), ("lab", "fault", "cut-power", "n1"), ("lab", "exec", "n1", "ls")])  # fmt: skip
def test_without_a_lab_nothing_can_be_asked(backstay, monkeypatch, tmp_path, words):
    monkeypatch.setenv("BACKSTAY_LAB", str(tmp_path / "lab"))
    code, out, err = backstay(*words)
    assert (code, out) == (3, "")
    assert err.startswith(f"backstay: there is no lab in {tmp_path}/lab\n  hint: ")
    assert not (tmp_path / "lab").exists()


def test_faults_are_listed_as_json(backstay, monkeypatch, tmp_path):
    monkeypatch.setenv("BACKSTAY_LAB", str(tmp_path / "lab"))
    code, out, _ = backstay("lab", "fault", "--output", "json")
    said = json.loads(out)
    assert (code, said["injected"]) == (0, [])
    assert said["faults"]["cut-power"] == "the host loses its power"


@pytest.mark.parametrize(
    ("more", "options"), [([], ["--lines=40"]), (["--follow"], ["--lines=40", "--follow"])]
)
def test_a_console_is_shown_from_its_file(backstay, monkeypatch, tmp_path, more, options):
    layout, became = Layout(tmp_path), []
    layout.node("n1").console.parent.mkdir(parents=True, exist_ok=True)
    layout.node("n1").console.touch()
    monkeypatch.setattr(lab, "the_lab", lambda: layout)
    monkeypatch.setattr(lab, "become", became.append)
    assert backstay("lab", "console", "n1", *more)[0] == 0
    assert became == [["tail", *options, str(layout.node("n1").console)]]
