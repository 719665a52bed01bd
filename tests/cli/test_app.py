import os
import subprocess
import sys

import pytest

from tests.runs import DISTILL, SMALL


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASD_HOME", raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        from tasd.__main__ import main

        monkeypatch.setattr(sys, "argv", ["tasd", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_help_loads_neither_torch_nor_numpy():
    script = (
        "import sys\n"
        "sys.argv = ['tasd', '--help']\n"
        "from tasd.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'h5py', 'pydantic', 'nvidia'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Three commands" in done.stdout


def test_every_command_has_help(cli):
    from typer.main import get_command

    from tasd.cli.app import app

    commands = get_command(app).commands
    assert {"prep", "check", "show", "splits", "train", "evaluate", "report", "demo", "doctor"} <= (
        set(commands)
    )
    for name in commands:
        code, out, _ = cli(name, "--help")
        assert code == 0
        assert "Usage" in out


@pytest.mark.parametrize("group", [[], ["splits"], ["bench"]])
def test_each_command_is_told_whole_in_one_line(cli, group):
    _, out, _ = cli(*group, "--help")
    listed = out.partition("Commands:")[2].strip().splitlines()
    assert len(listed) >= 3
    assert not [line for line in listed if line.endswith("...")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_completion_without_heavy_imports(shell):
    script = (
        "import sys\n"
        f"sys.argv = ['tasd', '--show-completion', '{shell}']\n"
        "from tasd.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'h5py', 'nvidia'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    # Without this variable Typer takes the shell from the parent process, not from the option.
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "tasd" in done.stdout
    assert f"complete_{shell}" in done.stdout


def test_tab_after_the_first_letters_of_a_command_names_it():
    completion = {"_TASD_COMPLETE": "complete_bash", "COMP_WORDS": "tasd repr", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tasd"],
        capture_output=True,
        text=True,
        env={**os.environ, **completion},
    )
    assert done.stdout.split() == ["reproduce"]


def test_version(cli):
    from tasd import __version__

    assert cli("--version") == (0, f"tasd {__version__}\n", "")


def test_a_wrong_option_is_exit_code_2(cli):
    assert cli("train", "--no-such-option")[0] == 2


def small(store, *words):
    settings = [word for text in SMALL + DISTILL for word in ("--set", text)]
    return ["train", "--store", store, *settings, "--device", "cpu", "--episodes", "2", *words]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prep", "folder", "--root", "nowhere"], "nowhere"),
        (["train"], "there is no store in stores"),
        (["train", "--store", "nowhere"], "nowhere"),
        (["evaluate"], "no run in runs has a best checkpoint"),
        (["evaluate", "--run", "nowhere"], "nowhere is not a run"),
        (["report", "nowhere"], "nowhere"),
        (["check", "nowhere"], "nowhere"),
        (["show", "nowhere"], "nowhere"),
        (["splits", "show", "ucf-101"], "ucf101"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_1_and_nothing_is_written(
    cli, tmp_path, words, message
):
    code, _, errors = cli(*words)
    assert code == 1
    assert message in errors
    assert errors.startswith("tasd: ")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_videos_is_told(cli, tmp_path):
    (tmp_path / "videos" / "class").mkdir(parents=True)
    (tmp_path / "videos" / "class" / "notes.txt").write_text("no video")
    code, _, errors = cli("prep", "folder", "--root", "videos")
    assert code == 1
    assert errors.count("\n") == 1
    assert "videos" in errors
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--way", 9], "--way 9 asks for more classes than the training classes"),
        (["--shot", 6], "needs 7: lower --queries or --shot"),
        (["--set", "network.weights=nowhere.pth"], "--weights nowhere.pth: there is no such file"),
        (["--set", "network.backbone=resnet19"], "did you mean 'resnet18'"),
        (["--matcher", "bimhn"], "did you mean 'bimhm'"),
        (["--set", "data.crop=96"], "96"),
        # A crop that does not fit is reported before the file of weights is read.
        (["--set", "data.crop=96", "--set", "network.weights=nowhere.pth"], "a crop of 96 pixels"),
        (["--device", "tpu"], "use auto, cpu, cuda or cuda:N"),
        (["--recipe", "tsad"], "did you mean 'tasd'"),
        (["--set", "optimiser.lr"], "is not of the form a.b=c"),
        (["--on-nonfinite", "maybe"], "'skip N'"),
        (["--resume", "nowhere"], "leave out --"),
    ],
)
def test_each_mistake_in_training_is_one_line_and_leaves_no_run(
    cli, tmp_path, small_store, words, message
):
    code, _, errors = cli(*small(small_store, *words))
    assert code == 1
    assert message in errors
    assert all(line.startswith("tasd: ") for line in errors.splitlines())  # a line a mistake
    assert list(tmp_path.iterdir()) == []


def test_the_commands_run_bare_where_there_is_one_store(cli, tmp_path, small_store):
    (tmp_path / "stores").mkdir()
    (tmp_path / "stores" / "folder").symlink_to(small_store)
    words = [word for word in small("x") if word not in ("--store", "x")]
    code, out, errors = cli(*words)
    assert code == 0, errors
    assert "episode" in out.partition("about ")[2], "the estimated time is printed first"
    run = next((tmp_path / "runs").iterdir())
    assert run.name.startswith("folder-tasd-5w1s-")
    code, out, errors = cli("evaluate", "--episodes", 40)
    assert code == 0, errors
    assert run.name in out + errors
    assert "student" in out
    assert list((run / "evaluation").glob("*.json"))
    code, out, errors = cli("report", run)
    assert code == 0, errors
    code, out, errors = cli("show", run)
    assert code == 0, errors
    code, out, errors = cli("show", small_store)
    assert code == 0, errors
    assert "96 videos" in out


def test_doctor_finds_the_store_and_says_what_is_missing(cli, tmp_path, small_store):
    (tmp_path / "stores").mkdir()
    (tmp_path / "stores" / "folder").symlink_to(small_store)
    code, out, _ = cli("doctor")
    assert code == 0
    assert "folder: 96 videos, 16 classes" in out
    assert "torch" in out
