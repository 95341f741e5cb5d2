"""vendor/fetch.py: which part of llama.cpp's tree is kept, and that a fetch is all or nothing."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "vendor" / "fetch.py"
INSIDE = "llama_cpp_python-0/vendor/llama.cpp"


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module of its own that works in a temporary vendor folder."""
    spec = importlib.util.spec_from_file_location("vendor_fetch", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "llama.cpp.txt").write_text("# why\nllama-cpp==1 --hash=sha256:00\n", "utf-8")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "PIN", tmp_path / "llama.cpp.txt")
    monkeypatch.setattr(module, "TREE", tmp_path / "llama.cpp")
    monkeypatch.setattr(module, "PATCHES", tmp_path / "patches")
    monkeypatch.setattr("sys.argv", ["fetch.py"])
    return module


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if name.endswith(".sh") else 0o400
            tar.addfile(member, io.BytesIO(content))
    return path


TREE = {
    f"{INSIDE}/CMakeLists.txt": b"project(llama)",
    f"{INSIDE}/src/llama.cpp": b"int x;",
    f"{INSIDE}/cmake/run.sh": b"#!",
    f"{INSIDE}/docs/build.md": b"no",
    f"{INSIDE}/models/ggml-vocab-bert-bge.gguf": b"no",
    f"{INSIDE}/models/ggml-vocab-gpt-2.gguf": b"yes",
    f"{INSIDE}/src/../../../../escaped": b"no",
    "llama_cpp_python-0/README.md": b"no",
}
KEPT = {"CMakeLists.txt", "src/llama.cpp", "cmake/run.sh", "models/ggml-vocab-gpt-2.gguf"}


def test_the_pin_is_exact() -> None:
    """The requirement names one version and its hash, so that pip can refuse anything else."""
    lines = (SCRIPT.parent / "llama.cpp.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) == 1
    assert re.fullmatch(r"[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", pins[0])


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("src/llama.cpp", True),
        ("tools/mtmd/clip.cpp", True),
        ("LICENSE", True),
        ("licenses/LICENSE-jsonhpp", True),
        ("srcs/x", False),
        ("docs/src/x", False),
        ("examples/simple/simple.cpp", False),
    ],
)
def test_what_is_kept(fetch: ModuleType, path: str, kept: bool) -> None:  # noqa: FBT001
    """A kept folder is kept whole, and only under its full name."""
    assert fetch.is_kept(PurePosixPath(path)) is kept


def test_a_fetch_unpacks_the_kept_part(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly the kept files arrive, with their modes and a stamp of the pin, nothing escapes."""
    monkeypatch.setattr(fetch, "download", lambda folder: archive(folder / "a.tar.gz", TREE))
    fetch.main()
    tree = tmp_path / "llama.cpp"
    found = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert found == KEPT | {".pyllama-pin"}
    assert (tree / "cmake" / "run.sh").stat().st_mode & 0o100
    assert (tree / "src" / "llama.cpp").stat().st_mode & 0o600 == 0o600
    assert (tree / ".pyllama-pin").read_text("utf-8").startswith("llama-cpp==1 --hash=sha256:00\n")
    assert {path.name for path in tmp_path.iterdir()} == {"llama.cpp", "llama.cpp.txt"}


def test_a_tree_that_is_there_is_kept(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout of one's own is kept, and nothing is downloaded; --force replaces it."""
    mine = tmp_path / "llama.cpp" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    monkeypatch.setattr(fetch, "download", lambda _: pytest.fail("downloaded"))
    fetch.main()
    assert mine.exists()
    monkeypatch.setattr(fetch, "download", lambda folder: archive(folder / "a.tar.gz", TREE))
    monkeypatch.setattr("sys.argv", ["fetch.py", "--force"])
    fetch.main()
    assert not mine.exists()


@pytest.mark.parametrize("stale", ["llama.cpp.txt", "patches/one.patch"])
def test_a_fetched_tree_follows_the_pin_and_the_patches(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: str
) -> None:
    """A fetched tree is kept while nothing changed, and replaced after a new pin or patch."""
    n_downloads = 0

    def download(folder: Path) -> Path:
        nonlocal n_downloads
        n_downloads += 1
        return archive(folder / "a.tar.gz", TREE)

    (tmp_path / "patches").mkdir()
    monkeypatch.setattr(fetch, "download", download)
    fetch.main()
    fetch.main()
    assert n_downloads == 1
    (tmp_path / stale).write_text("llama-cpp==2 --hash=sha256:00\n", "utf-8")
    fetch.main()
    assert n_downloads == 2
    assert fetch.is_current()


def test_an_interrupted_fetch_leaves_no_half_tree(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged archive leaves the vendor folder as it was."""

    def download(folder: Path) -> Path:
        whole = archive(folder / "a.tar.gz", TREE)
        whole.write_bytes(whole.read_bytes()[:-40])
        return whole

    monkeypatch.setattr(fetch, "download", download)
    with pytest.raises((EOFError, tarfile.ReadError)):
        fetch.main()
    assert {path.name for path in tmp_path.iterdir()} == {"llama.cpp.txt"}


def test_a_failed_download_names_the_remedies(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When pip fails, the message names the package, the network and a checkout of one's own."""
    failed: subprocess.CompletedProcess[str] = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit) as caught:
        fetch.main()
    said = str(caught.value)
    assert "could not download llama-cpp==1" in said
    assert "network" in said
    assert str(tmp_path / "llama.cpp") in said


PATCH = """Why it is needed.

--- a/src/llama.cpp
+++ b/src/llama.cpp
@@ -1,2 +1,3 @@
-int x;
+int x = 1;
+int y;
 int z;
@@ -9,1 +10,2 @@
 int last;
+int end;
"""


def test_patches_are_applied(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetched tree has what the patches say; the lines between two places stay."""
    files = {**TREE, f"{INSIDE}/src/llama.cpp": b"int x;\nint z;\nint more;\nint last;\n"}
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "one.patch").write_text(PATCH, "utf-8")
    monkeypatch.setattr(fetch, "download", lambda folder: archive(folder / "a.tar.gz", files))
    fetch.main()
    text = (tmp_path / "llama.cpp" / "src" / "llama.cpp").read_text("utf-8")
    assert text == "int x = 1;\nint y;\nint z;\nint more;\nint last;\nint end;\n"


def test_a_patch_that_does_not_fit_ends_the_fetch(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that is not there, or there twice, is named, and no tree is left."""
    files = {**TREE, f"{INSIDE}/src/llama.cpp": b"int x;\nint z;\nint x;\nint z;\nint last;\n"}
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "one.patch").write_text(PATCH, "utf-8")
    monkeypatch.setattr(fetch, "download", lambda folder: archive(folder / "a.tar.gz", files))
    with pytest.raises(SystemExit, match=r"a patch of src/llama\.cpp does not fit"):
        fetch.main()
    assert not (tmp_path / "llama.cpp").exists()
