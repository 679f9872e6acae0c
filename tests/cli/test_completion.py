"""Completion in a real bash and a real zsh."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conceptspace.cli import main
from conceptspace.cli.completion import completion_script, figures
from conceptspace.cli.settings import stored

PROMPT = "ready>"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    found = {shell: folder / shell for shell in ("bash", "zsh")}
    for shell, path in found.items():
        path.write_text(completion_script(shell))
    return found


def in_bash(path: Path, *words: str) -> list[str]:
    """What bash proposes for the last word."""
    typed = " ".join(f"'{word}'" for word in ("conceptspace", *words))
    code = (
        f"source {path}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        '_shtab_conceptspace; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, cwd=path.parent
    )
    return done.stdout.split()


class TestBash:
    def test_a_command(self, scripts):
        assert in_bash(scripts["bash"], "qui") == ["quickstart"]

    def test_a_setting(self, scripts):
        found = in_bash(scripts["bash"], "run", "quick", "--train.checkpoint")
        assert found == [
            "--train.checkpoint-schedule",
            "--train.checkpoints",
            "--train.checkpoint-steps",
        ]

    def test_every_setting(self, scripts):
        found = in_bash(scripts["bash"], "run", "--")
        assert {one.flag for one in stored()} <= set(found)

    def test_a_choice(self, scripts):
        words = ("run", "quick", "--train.checkpoint-schedule", "l")
        assert in_bash(scripts["bash"], *words) == ["linear", "log"]

    def test_names_where_others_may_stand(self, scripts):
        bash = scripts["bash"]
        assert in_bash(bash, "evaluate", "r", "--protocol", "patch") == ["patching"]
        assert in_bash(bash, "run", "--data.kind", "sh") == ["shapes"]
        assert "fig04" in in_bash(bash, "reproduce", "fig")

    def test_a_column_is_no_protocol(self, scripts):
        assert in_bash(scripts["bash"], "analyze", "t", "--protocol", "patch") == []

    def test_a_file(self, scripts):
        assert "zsh" in in_bash(scripts["bash"], "run", "--config", "z")


def in_zsh(path: Path, typed: str, wanted: str) -> str:
    """What a terminal with zsh shows after the keys and a tab."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "dumb"
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        begin = (
            f"PS1='{PROMPT}'; unsetopt zle_bracketed_paste; autoload -Uz compinit; "
            f'compinit -u -D; eval "$(<{path})"\n'
        )
        os.write(terminal, begin.encode())
        _read_until(terminal, "\r" + PROMPT)
        os.write(terminal, f"{typed}\t".encode())
        return _read_until(terminal, wanted)
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def _read_until(terminal: int, wanted: str, seconds: float = 20) -> str:
    """What is shown up to the text, or for so long."""
    shown, end = "", time.monotonic() + seconds
    while wanted not in shown and (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
class TestZsh:
    @pytest.mark.parametrize(
        ("typed", "wanted"),
        [
            ("conceptspace quicks", "conceptspace quickstart"),
            ("conceptspace run --train.cl", "--train.clip-norm"),
            ("conceptspace run --train.checkpoint-schedule lin", "linear"),
            ("conceptspace evaluate r --protocol patch", "patching"),
        ],
    )
    def test_completes(self, scripts, typed, wanted):
        assert wanted in in_zsh(scripts["zsh"], typed, wanted)

    def test_its_script_is_sound(self, scripts):
        subprocess.run(["zsh", "-n", scripts["zsh"]], check=True)


def test_it_is_printed_without_heavy_imports():
    code = (
        "import sys\nfrom conceptspace.cli import main\nmain(['completion', 'bash'])\n"
        "heavy = {'torch', 'pandas', 'pydantic'} & set(sys.modules)\nprint('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
    assert "complete -o bashdefault -F _shtab_conceptspace conceptspace" in done.stdout


def test_of_an_unknown_shell(capsys):
    assert main(["completion", "zhs"]) == 2
    assert "did you mean zsh?" in capsys.readouterr().err


def test_figures_are_those_that_reproduce_knows():
    from conceptspace.paper.framework.registry import FIGURES

    assert set(figures()) == set(FIGURES)
