"""What the command tells of itself."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from conceptspace.cli import main
from conceptspace.cli.parser import EXAMPLES, parsed
from conceptspace.cli.settings import STORED, settings, stored
from conceptspace.config import field_names


class TestHelp:
    @pytest.mark.parametrize("command", [None, *EXAMPLES])
    def test_shows_an_example(self, capsys, command):
        with pytest.raises(SystemExit) as stopped:
            main([*([command] if command else []), "--help"])
        assert stopped.value.code == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "example: " + EXAMPLES[command or "quickstart"] in out

    @pytest.mark.parametrize("command", EXAMPLES)
    def test_examples_can_be_parsed(self, command):
        example = re.search(r"conceptspace ([^)]*)", EXAMPLES[command])
        assert parsed(example[1].split()).command == command

    @pytest.mark.parametrize("command", ["run", "quickstart", "signal"])
    def test_every_setting_is_a_flag_with_its_description(self, capsys, command):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        out = " ".join(capsys.readouterr().out.split())
        for name, info in field_names().items():
            if name != "preset":
                assert f"--{name.replace('_', '-')} " in out
                assert " ".join(info.description.split()[:2]) in out

    def test_values_defaults_and_choices(self, capsys):
        with pytest.raises(SystemExit):
            main(["run", "--help"])
        out = " ".join(capsys.readouterr().out.split())
        assert (
            "--train.steps N Gradient steps (1 to 1000000000). [quick: 4200, paper: 20000]" in out
        )
        assert "--train.checkpoint-schedule {sqrt,linear,log,explicit}" in out
        assert "--train.weight-decay X AdamW weight decay (0 to 10000). [default: 0.01]" in out
        assert "--model.channels N,..." in out
        assert "One or more of shape, x, y, color, size, background. " in out
        assert "--protocols.steering.strengths X,..." in out

    def test_descriptions_of_settings_are_those_of_the_models(self):
        assert stored() == settings(), f"refresh {STORED}: make settings"

    def test_settings_of_a_kind_that_is_named(self, capsys):
        """They come from its model, whose code is imported."""
        with pytest.raises(SystemExit):
            main(["run", "--data.kind", "celeba", "--help"])
        out = " ".join(capsys.readouterr().out.split())
        assert "--data.attributes TEXT,..." in out

    def test_without_arguments_is_help(self, capsys):
        assert main([]) == 0
        assert "COMMAND" in capsys.readouterr().out

    def test_version(self, capsys):
        with pytest.raises(SystemExit):
            main(["--version"])
        assert re.fullmatch(r"conceptspace \d+\.\d+.*\n", capsys.readouterr().out)

    @pytest.mark.parametrize(
        "arguments", [["--help"], ["--version"], *([name, "--help"] for name in EXAMPLES)], ids=str
    )
    def test_is_fast_because_it_imports_little(self, arguments):
        code = (
            "import sys\nfrom conceptspace.cli import main\n"
            f"try: main({arguments!r})\nexcept SystemExit: pass\n"
            "slow = {'torch', 'pandas', 'pydantic', 'numpy', 'fsspec'} & set(sys.modules)\n"
            "print('slow:', sorted(slow))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("slow: []\n")
