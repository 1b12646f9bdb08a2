"""The computed permissions agree with the kernel."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plotindex.ops.doctor.permissions import ENTER, READ, Credentials, exposures, may_replace, permitted
from plotindex.ops.doctor.state_exposure import stat_folder
from tests.support.other_users import reachable_folder, run_as_user

OWNER, OTHER, GROUP, SECOND = 51_001, 51_002, 51_003, 51_004
USERS = [
    Credentials(OWNER, frozenset({OWNER})),
    Credentials(OTHER, frozenset({GROUP})),
    Credentials(OTHER, frozenset({OTHER, GROUP, SECOND})),
    Credentials(OTHER, frozenset({SECOND})),
    Credentials(OWNER, frozenset({GROUP})),
    Credentials(0, frozenset({0})),
]
modes = st.integers(0, 0o7777)


reachable = pytest.fixture(reachable_folder)


@pytest.fixture(autouse=True)
def as_root() -> None:
    if os.geteuid():
        pytest.skip("only root can ask the kernel as somebody else: run the tests as root")


def allowed(path: Path) -> int:
    """What the kernel grants whoever asks."""
    return sum(bit for bit in (1, 2, 4) if os.access(path, bit))


@pytest.mark.parametrize("credentials", USERS, ids=str)
def test_permitted_agrees_with_the_kernel_for_every_mode(credentials: Credentials, reachable: Path) -> None:
    for mode in range(0o1000):
        folder = reachable / f"{mode:o}"
        folder.mkdir()
        os.chown(folder, OWNER, GROUP)
        folder.chmod(mode)
    folders = sorted(reachable.iterdir())
    actual = run_as_user(credentials, lambda: "".join(str(allowed(folder)) for folder in folders))
    assert actual == "".join(str(permitted(folder.stat(), credentials)) for folder in folders)


@given(
    folder_mode=modes,
    credentials=st.sampled_from(USERS),
    owners=st.tuples(*[st.sampled_from([OWNER, OTHER, 0])] * 2),
)
def test_may_replace_agrees_with_the_kernel(
    folder_mode: int, credentials: Credentials, owners: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        above, folder, entry = Path(name), Path(name) / "folder", Path(name) / "folder/entry"
        above.chmod(0o755)
        folder.mkdir()
        entry.mkdir()
        for path, owner in zip((folder, entry), owners, strict=True):
            os.chown(path, owner, GROUP)
        folder.chmod(folder_mode)
        expected = may_replace(folder.stat(), entry.stat(), credentials)

        def replace() -> str:
            try:
                entry.rename(folder / "other")
            except PermissionError:
                return "no"
            return "yes"

        assert run_as_user(credentials, replace) == ("yes" if expected else "no")


@given(st.tuples(modes, modes, modes), st.sampled_from(USERS[:-1]))
def test_exposures_agree_with_the_kernel(given_modes: tuple[int, int, int], credentials: Credentials) -> None:
    with tempfile.TemporaryDirectory() as name:
        above, folder = Path(name) / "above", Path(name) / "above/state"
        Path(name).chmod(0o755)
        folder.mkdir(parents=True)
        key = folder / "secret.key"
        key.write_text("secret")
        for path, mode in zip((key, folder, above), reversed(given_modes), strict=True):
            os.chown(path, OWNER if path == key else 0, GROUP)
            path.chmod(mode)
        found = {
            exposure.what for exposure in exposures(stat_folder(folder, [key.name]), credentials, frozenset({key.name}))
        }
        actual = run_as_user(credentials, lambda: "yes" if os.access(key, os.R_OK) else "no")
        assert (f"can read {key}" in found) == (actual == "yes")


def test_exposures_consider_all_parents(reachable: Path) -> None:
    (reachable / "closed/state").mkdir(parents=True)
    key = reachable / "closed/state/secret.key"
    key.write_text("")
    key.chmod(0o644)
    stranger = Credentials(OTHER, frozenset({OTHER}))
    status = stat_folder(key.parent, [key.name])
    assert {exposure.what for exposure in exposures(status, stranger, frozenset({key.name}))} == {f"can read {key}"}
    (reachable / "closed").chmod(0o700)
    status = stat_folder(key.parent, [key.name])
    assert list(exposures(status, stranger, frozenset({key.name}))) == []
    assert permitted(key.stat(), stranger) & (READ | ENTER) == READ
