# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every test: nothing is skipped, nothing is silently missing.

A test that did not run proved nothing, so a skip, an expected failure and an empty directory are failures here,
and a missing tool fails the tests that need it, with the package to install.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

Need = Callable[..., str]

# Machines are slow and noisy, and a test that fails by chance is no test: no time limit, the same examples each time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# Where a tool that a test may need comes from; scripts/setup installs all of them.
PACKAGES = {
    "ansible-playbook": "ansible-core",
    "cibadmin": "pacemaker-cli-utils",
    "crm": "crmsh",
    "corosync": "corosync",
    "crm_mon": "pacemaker-cli-utils",
    "crm_simulate": "pacemaker-cli-utils",
    "crm_verify": "pacemaker-cli-utils",
    "dpkg-buildpackage": "dpkg-dev",
    "dpkg-deb": "dpkg",
    "fish": "fish",
    "ipmi_sim": "openipmi",
    "ipmitool": "ipmitool",
    "libvirtd": "libvirt-daemon",
    "lintian": "lintian",
    "/usr/lib/pacemaker/pacemaker-based": "pacemaker",
    "/usr/lib/pacemaker/pacemaker-fenced": "pacemaker",
    "man": "man-db",
    "mmdebstrap": "mmdebstrap",
    "pcs": "pcs",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "rpm2cpio": "rpm2cpio",
    "rpmbuild": "rpm",
    "rpmlint": "rpmlint",
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
    "virsh": "libvirt-clients",
    "xmllint": "libxml2-utils",
    "zsh": "zsh",
}
ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the source tree."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def need() -> Need:
    """`need("crm_verify")` returns the path of the tool, or fails the test: it never skips."""

    def look(tool: str, *more: str) -> str:
        found = {name: shutil.which(name, path=ADMIN_PATH) for name in (tool, *more)}
        for name, path in found.items():
            if path is None:
                package = PACKAGES.get(name, "the package that has it")
                pytest.fail(f"{name} is missing here; install {package} (scripts/setup does)", pytrace=False)
        return found[tool] or ""

    return look


@pytest.fixture(scope="session")
def fetched() -> Need:
    """`fetched("promtool")` returns the path of a file that scripts/setup took out of a package, or fails the test."""

    def look(name: str, *more: str) -> str:
        directory = Path(os.environ.get("BACKSTAY_CACHE", "/var/cache/backstay")) / "schemas"
        for each in (name, *more):
            if not (directory / each).is_file():
                pytest.fail(
                    f"{directory / each} is missing here (scripts/setup packages fetches it)", pytrace=False
                )
        return str(directory / name)

    return look


@pytest.fixture(scope="session")
def schemas(fetched: Need) -> Path:
    """The directory with ocf-1.1.rng, metadata.rng (for fence agents), ocf-tester and fence agents: what scripts/setup fetches."""
    agents = ("fence_ipmilan", "fence_redfish", "fencing.py")
    return Path(fetched("ocf-1.1.rng", "metadata.rng", "ocf-tester", *agents)).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was skipped, or was allowed to fail, is a failed test."""
    report = yield
    if report.skipped or hasattr(report, "wasxfail"):
        kind = "is marked as an expected failure" if hasattr(report, "wasxfail") else "was skipped"
        report.longrepr = f"{item.nodeid} {kind}, and nothing is skipped here: {_reason(report)}"
        report.outcome = "failed"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself is a failure as well."""
    report = yield
    if report.skipped:
        report.longrepr = f"{collector.nodeid} skips itself, and nothing is skipped here"
        report.outcome = "failed"
    return report


LONGEST = (
    "tests/integration/fencing/test_fence_check",
    "tests/integration/fencing/test_a_broken_bmc.py",
    "tests/integration/packaging/",
    "tests/integration/agents/",
    "tests/integration/fencing/",
    "tests/integration/",
)
"""Where the tests are that wait longest, those first: begun first, no worker is left alone with them at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which the Makefile has its workers take the files (--no-loadscope-reorder)."""
    items.sort(
        key=lambda item: next(
            (rank for rank, place in enumerate(LONGEST) if item.nodeid.startswith(place)), len(LONGEST)
        )
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Each directory named on the command line must hold tests: an empty one must not look like success."""
    places = [Path(item.path) for item in session.items]
    for argument in session.config.args:
        wanted = (session.config.invocation_params.dir / argument.split("::")[0]).resolve()
        if wanted.is_dir() and not any(place.is_relative_to(wanted) for place in places):
            raise pytest.UsageError(f"no tests were found in {argument}")


def _reason(report: pytest.TestReport) -> str:
    """The reason that a skip or an expected failure gave, if any."""
    said = getattr(report, "wasxfail", "")
    if not said and isinstance(report.longrepr, tuple):
        said = str(report.longrepr[-1])
    return said or "no reason given"


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag regenerates every golden file."""
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write tests/golden anew, then look at the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest, repository: Path) -> Callable[[str, str], None]:
    """`golden("name.xml", text)` fails when `text` is not what tests/golden has under that name.

    crm-scripts/ is made in the same way, because the packages install it without making anything.
    """

    def compare(name: str, text: str) -> None:
        path = repository / (name if name.startswith("crm-scripts/") else f"tests/golden/{name}")
        if request.config.getoption("--regenerate-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text == expected, f"{path} differs; --regenerate-golden writes it anew"

    return compare
