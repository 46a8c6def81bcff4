"""Which files a run looks at, in which order, and under which names."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from unprivileged import unprivileged, users_folder

from nkimigrate.discovery import PathError, discover


def grow(root: Path, *names: str) -> None:
    """Make files below ``root``; a name that ends with a slash is a folder."""
    for name in names:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str, **options: object) -> list[str]:
    return [found.path for found in discover(paths or ["."], **options)]  # type: ignore[arg-type]


# -- names and order --


def test_the_order_is_that_of_the_paths_as_strings(here: Path) -> None:
    grow(here, "b.py", "a/z.py", "a/b/c.py", "a-b.py", "a.py", "a/b.py", "B.py", "aa/x.py")
    expected = ["B.py", "a-b.py", "a.py", "a/b.py", "a/b/c.py", "a/z.py", "aa/x.py", "b.py"]
    assert names() == expected == sorted(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (".", "src/a.py"),
        ("./", "src/a.py"),
        ("src", "src/a.py"),
        ("src/", "src/a.py"),
        ("./src", "./src/a.py"),
        ("src/a.py", "src/a.py"),
        ("../{here}/src", "../{here}/src/a.py"),
        ("{absolute}", "{absolute}/src/a.py"),
    ],
)
def test_paths_come_out_as_they_were_typed(here: Path, given: str, expected: str) -> None:
    grow(here, "src/a.py")
    words = {"here": here.name, "absolute": str(here)}
    assert names(given.format(**words)) == [expected.format(**words)]


def test_path_objects_are_taken(here: Path) -> None:
    grow(here, "src/a.py")
    assert [found.path for found in discover([Path("src")])] == ["src/a.py"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.py", "python"),
        ("a.pyi", "python"),
        ("a.ipynb", "notebook"),
        ("pyproject.toml", "text"),
        ("setup.cfg", "text"),
        ("tox.ini", "text"),
        ("c.yaml", "text"),
        ("c.yml", "text"),
        ("c.json", "text"),
        (".env", "text"),
        ("prod.env", "text"),
        ("Dockerfile", "text"),
        ("Dockerfile.neuron", "text"),
        ("requirements.txt", "text"),
        ("requirements-dev.txt", "text"),
    ],
)
def test_kinds(here: Path, name: str, kind: str) -> None:
    grow(here, name)
    assert [(found.path, found.kind) for found in discover(["."])] == [(name, kind)]


@pytest.mark.parametrize("name", ["a.pyc", "a.txt", "README.md", "py", "apy", "a.py.orig", "a.so", "a.PY"])
def test_other_files_are_left_alone(here: Path, name: str) -> None:
    grow(here, name)
    assert names() == []


def test_found_carries_the_state_of_the_file(here: Path) -> None:
    write(here / "a.py", "x = 1\n")
    os.utime("a.py", ns=(1, 1_600_000_000_123_456_789))
    (found,) = discover(["."])
    assert found.size == 6
    assert found.mtime_ns == 1_600_000_000_123_456_789
    assert found.ctime_ns == os.stat("a.py").st_ctime_ns


def test_names_that_are_no_utf8(here: Path) -> None:
    raw = b"caf\xe9.py"
    try:
        (here / os.fsdecode(raw)).touch()
    except OSError:
        pytest.skip("this file system wants UTF-8")
    write(here / ".gitignore", "x.py\n")
    assert [os.fsencode(name) for name in names()] == [raw]


def test_a_tree_deeper_than_the_recursion_limit(here: Path) -> None:
    depth = 1500
    os.chdir(here)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    Path("a.py").touch()
    os.chdir(here)
    assert names() == ["d/" * depth + "a.py"]
    subprocess.run(["rm", "-r", "d"], check=True)  # shutil.rmtree gives up at such depths


# -- what is left out by default --

DEFAULT_FOLDERS = """
.git .hg .svn .venv node_modules __pycache__ .tox .nox .mypy_cache .ruff_cache .pytest_cache .eggs
build dist site-packages _vendor vendor vendored third_party my_model.egg-info .nkimigrate_cache
"""


@pytest.mark.parametrize("folder", DEFAULT_FOLDERS.split())
def test_folders_excluded_by_default(here: Path, folder: str) -> None:
    grow(here, f"{folder}/a.py", f"x/{folder}/y/a.py", "x/a.py")
    assert names() == ["x/a.py"]


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/"])
def test_virtual_environments_under_any_name(here: Path, mark: str) -> None:
    grow(here, f"neuron/{mark}", "neuron/bin/a.py", "a.py")
    assert names() == ["a.py"]
    assert names(exclude=["nothing"]) == ["a.py"]


def test_a_folder_that_is_only_named_like_one_is_walked(here: Path) -> None:
    grow(here, "venv/a.py", "env/a.py", "build.py")
    assert names() == ["build.py", "env/a.py", "venv/a.py"]


def test_what_is_given_is_taken_whatever_the_rules_say(here: Path) -> None:
    grow(here, "vendor/a.py", "env/pyvenv.cfg", "env/b.py", "c.py", "d/e.py")
    write(here / ".gitignore", "c.py\nd/\n")
    assert names() == []
    assert names("vendor") == ["vendor/a.py"]
    assert names("env") == ["env/b.py", "env/pyvenv.cfg"]
    assert names("c.py", "vendor/a.py", exclude=["*.py"]) == ["c.py", "vendor/a.py"]
    assert names("d") == ["d/e.py"]


def test_a_given_script_without_a_suffix_is_python(here: Path) -> None:
    grow(here, "run", "notes.md")
    assert [found.kind for found in discover(["run", "notes.md"])] == ["python", "text"]


def test_a_killed_runs_temporary_file_is_not_found(here: Path) -> None:
    grow(here, ".nkimigrate-0123456789abcdef.tmp", "a.py")
    assert names() == ["a.py"]


# -- --exclude --


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("gen", ["a.py", "src/b.py"]),
        ("gen/", ["a.py", "src/b.py"]),
        ("src/gen", ["a.py", "gen/c.py", "src/b.py"]),
        ("/gen", ["a.py", "src/b.py", "src/gen/d.py"]),
        ("./gen", ["a.py", "src/b.py", "src/gen/d.py"]),
        ("{root}/gen", ["a.py", "src/b.py", "src/gen/d.py"]),
        ("*.py", []),
        ("src/*.py", ["a.py", "gen/c.py", "src/gen/d.py"]),
        ("src/**/*.py", ["a.py", "gen/c.py"]),
        ("!vendor", ["a.py", "gen/c.py", "src/b.py", "src/gen/d.py", "vendor/e.py"]),
    ],
)
def test_extend_exclude_adds(here: Path, pattern: str, left: list[str]) -> None:
    grow(here, "a.py", "gen/c.py", "src/b.py", "src/gen/d.py", "vendor/e.py")
    assert names(extend_exclude=[pattern.format(root=here)]) == left


def test_exclude_replaces_the_default(here: Path) -> None:
    grow(here, "a.py", "build/b.py", "gen/c.py")
    assert names(exclude=["gen"]) == ["a.py", "build/b.py"]
    assert names(exclude=["gen"], extend_exclude=["a.py"]) == ["build/b.py"]


def test_excludes_count_from_the_root_wherever_the_user_is(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(here, "src/gen/a.py", "src/b.py", "gen/c.py")
    monkeypatch.chdir(here / "src")
    assert names(extend_exclude=["src/gen"], root=str(here)) == ["b.py"]
    assert names("..", extend_exclude=["/gen"], root="..") == ["../src/b.py", "../src/gen/a.py"]


def test_excluded_links_are_not_followed(here: Path) -> None:
    grow(here, "src/", "real/a.py")
    os.symlink("../real/a.py", "src/link.py")
    assert names("src") == ["src/link.py"]
    assert names("src", extend_exclude=["link.py"]) == []


# -- .gitignore --


def test_gitignore_files_from_the_repositorys_root_downwards(here: Path) -> None:
    grow(here, ".git/", "a.py", "gen.py", "src/gen.py", "src/keep/gen.py", "src/lib/b.py", "lib/b.py")
    write(here / ".gitignore", "gen.py\n/src/lib/\n")
    write(here / "src/keep/.gitignore", "!gen.py\n")
    assert names() == ["a.py", "lib/b.py", "src/keep/gen.py"]
    assert names("src") == ["src/keep/gen.py"]
    assert names("src/keep") == ["src/keep/gen.py"]
    assert len(names(respect_gitignore=False)) == 6


def test_the_nearest_file_above_the_given_folder_is_the_strongest(here: Path) -> None:
    grow(here, ".git/", "x/y/z/a.py")
    write(here / ".gitignore", "a.py\n")
    write(here / "x/.gitignore", "!a.py\n")
    assert names("x/y/z") == ["x/y/z/a.py"]
    write(here / "x/y/.gitignore", "a.py\n")
    assert names("x/y/z") == []


def test_an_ignored_folder_is_not_entered_for_an_exception_inside(here: Path) -> None:
    grow(here, ".git/", "gen/a.py", "a.py")
    write(here / ".gitignore", "gen/\n!gen/a.py\n")
    assert names() == ["a.py"]


def test_repositorys_own_exclude_file_is_the_weakest(here: Path) -> None:
    grow(here, "a.py", "b.py", "src/a.py")
    write(here / ".git/info/exclude", "a.py\nb.py\n")
    write(here / ".gitignore", "!b.py\n")
    assert names() == ["b.py"]
    assert names("src") == []


def test_above_the_given_folder_only_a_repository_counts(here: Path) -> None:
    grow(here, "src/a.py", "src/b.py")
    write(here / ".gitignore", "*.py\n")
    write(here / "src/.gitignore", "b.py\n")
    assert names("src") == ["src/a.py"]
    assert names() == []


def test_a_repository_inside_begins_anew(here: Path) -> None:
    grow(here, ".git/", "a.py", "sub/.git/", "sub/a.py", "sub/b.py")
    write(here / ".gitignore", "a.py\n")
    write(here / "sub/.gitignore", "b.py\n")
    assert names() == ["sub/a.py"]


def test_a_submodule_reads_its_exclude_file_where_git_keeps_it(here: Path) -> None:
    grow(here, "sub/a.py", "sub/b.py")
    write(here / "sub/.git", "gitdir: ../.git/modules/sub\n")
    write(here / ".git/modules/sub/info/exclude", "b.py\n")
    assert names() == ["sub/a.py"]
    assert names("sub") == ["sub/a.py"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git makes the worktree")
def test_a_worktree_shares_the_exclude_file(here: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *words], check=True, capture_output=True)

    git("init", "main")
    git("-C", "main", "commit", "--allow-empty", "-m", "x")
    git("-C", "main", "worktree", "add", "../tree")
    write(here / "main/.git/info/exclude", "b.py\n")
    grow(here, "tree/a.py", "tree/b.py")
    assert names("tree") == ["tree/a.py"]


def test_an_ignore_file_that_is_a_link_is_not_read_as_in_git(here: Path) -> None:
    grow(here, ".git/", "a.py")
    write(here / "rules", "a.py\n")
    os.symlink("rules", ".gitignore")
    assert names() == ["a.py"]


def test_an_ignore_file_that_cannot_be_read_is_reported() -> None:
    problems: list[tuple[str, str]] = []
    with users_folder() as folder, unprivileged():
        grow(folder, "a.py")
        write(folder / ".gitignore", "a.py\n")
        (folder / ".gitignore").chmod(0)
        found = names(str(folder), on_error=lambda path, message: problems.append((path, message)))
    assert found == [f"{folder}/a.py"]
    assert problems == [(f"{folder}/.gitignore", "permission denied")]


def test_an_ignore_file_with_bytes_that_are_no_utf8(here: Path) -> None:
    grow(here, "a.py", "b.py")
    (here / ".gitignore").write_bytes(b"caf\xe9\na.py\n")
    assert names() == ["b.py"]


# -- links and duplicates --


def test_linked_folders_are_not_followed(here: Path) -> None:
    grow(here, "src/a.py")
    os.symlink(".", "src/loop")
    os.symlink("src", "alias")
    os.symlink("src", "folder.py")
    assert names() == ["src/a.py"]
    assert names("alias") == ["alias/a.py"]


def test_a_file_that_a_link_leads_to_comes_once_under_its_own_name(here: Path) -> None:
    grow(here, "z.py")
    os.symlink("z.py", "a.py")
    assert names() == ["z.py"]


def test_links_out_of_the_tree_are_followed_and_come_last(here: Path) -> None:
    grow(here, "other/real.py", "src/z.py")
    for name in ("b.py", "a.py"):
        os.symlink("../other/real.py", f"src/{name}")
    assert names("src") == ["src/z.py", "src/a.py"]
    assert names("src", "other") == ["src/z.py", "other/real.py"]
    assert names("src/b.py", "src", "other") == ["src/b.py", "src/z.py"]


def test_links_come_in_the_order_of_their_paths(here: Path) -> None:
    links = [f"src/{letter}.py" for letter in "abcdefghij"]
    grow(here, "src/", *(f"other/{index}.py" for index in range(10)))
    for index, link in enumerate(links):
        os.symlink(f"../other/{9 - index}.py", link)
    assert names("src") == links


def test_links_to_nowhere_are_passed_over(here: Path) -> None:
    os.symlink("user@host.4711:1", ".#a.py")  # an editor's lock
    os.symlink("self.py", "self.py")
    assert names() == []


def test_what_is_named_twice_comes_once(here: Path) -> None:
    grow(here, "src/a.py", "src/sub/b.py")
    assert names("src", "src", ".", "src/a.py") == ["src/a.py", "src/sub/b.py"]
    assert names("src/sub/b.py", str(here)) == ["src/sub/b.py", f"{here}/src/a.py"]


def test_hard_links_all_come_for_each_must_be_written(here: Path) -> None:
    grow(here, "a.py")
    os.link("a.py", "b.py")
    assert names() == ["a.py", "b.py"]
    assert names("a.py", ".") == ["a.py", "b.py"]


# -- what goes wrong --


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "no such file or directory"),
        ("", "no such file or directory"),
        ("a.py/b.py", "not a directory"),
        ("dangling.py", "is a link to a file that does not exist"),
        ("nul\0.py", "the name has a NUL byte"),
        ("x" * 300, "file name too long"),
    ],
)
def test_a_path_that_is_not_there_is_an_error_before_any_work(here: Path, path: str, message: str) -> None:
    grow(here, "a.py")
    os.symlink("nowhere", "dangling.py")
    with pytest.raises(PathError) as caught:
        discover(["a.py", path])
    assert caught.value.message == message
    assert str(caught.value) == f"{path or repr('')}: {message}"


def test_closed_folders_are_reported_and_the_rest_is_found() -> None:
    problems: list[tuple[str, str]] = []
    with users_folder() as folder, unprivileged():
        grow(folder, "a.py", "closed/b.py", "listed/c.py", "z.py")
        (folder / "closed").chmod(0)
        (folder / "listed").chmod(0o444)
        found = names(str(folder), on_error=lambda path, message: problems.append((path, message)))
        with pytest.raises(PathError, match="closed: permission denied"):
            names(str(folder))
        (folder / "listed").chmod(0o700)
    assert found == [f"{folder}/a.py", f"{folder}/z.py"]
    assert problems == [
        (f"{folder}/closed", "permission denied"),
        (f"{folder}/listed/c.py", "permission denied"),
    ]


def test_a_given_folder_that_is_closed_is_reported() -> None:
    problems: list[tuple[str, str]] = []
    with users_folder() as folder, unprivileged():
        (folder / "closed").mkdir(mode=0)
        assert (
            names(str(folder / "closed"), on_error=lambda path, message: problems.append((path, message)))
            == []
        )
    assert problems == [(f"{folder}/closed", "permission denied")]


def test_what_is_no_regular_file_is_not_walked_to(here: Path) -> None:
    os.mkfifo("fifo.py")
    os.symlink("fifo.py", "link.py")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.py")
        assert names() == []


def test_a_folder_that_goes_away_during_the_walk_is_nothing_to_report(here: Path) -> None:
    grow(here, "a.py", "gone/b.py", "z.py")
    seen = []
    for found in discover(["."]):
        seen.append(found.path)
        shutil.rmtree("gone", ignore_errors=True)
    assert seen == ["a.py", "z.py"]
