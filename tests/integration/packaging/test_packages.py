# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages as an admin gets them: built, unpacked, and looked at as Pacemaker would look.

Pacemaker takes every executable file below resource.d for an agent and every file called fence_* in sbin for a fence
agent, so what lies there is listed here one by one.
"""

from __future__ import annotations

import configparser
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from backstay import __version__
from backstay.cloud.model import ALERT_AGENT
from tests.integration.packaging.built import build, run

AGENTS = "usr/lib/ocf/resource.d/backstay"
FENCE_AGENTS = ("fence_backstay_ipmi", "fence_backstay_redfish")
# What Backstay keeps below /var/lib/backstay.
KEPT = ["agents-proven", "agents-said", "checkpoints", "definitions", "fence-identities", "refused"]


def names(directory: Path) -> list[str]:
    """What lies in a directory, whatever it is."""
    return sorted(path.name for path in directory.iterdir())


def is_executable(path: Path) -> bool:
    """A regular file that everybody may run and only root may change."""
    return path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777 == 0o755


def test_exactly_the_agents_are_there(package, repository):
    assert names(package.root / "usr/lib/ocf/resource.d") == ["backstay"]
    assert names(package.root / AGENTS) == names(repository / "agents")
    assert {"datastore", "domain", "frontend", "libvirtd"} <= set(names(package.root / AGENTS))
    for link in (package.root / AGENTS).iterdir():
        assert is_executable(package.leads_to(link))


def test_exactly_the_fence_agents_are_there(package):
    assert names(package.root / "usr/sbin") == list(FENCE_AGENTS)
    for name in FENCE_AGENTS:
        assert is_executable(package.leads_to(package.root / "usr/sbin" / name))


def test_drbds_handler_lies_where_its_configuration_names_it(package):
    assert is_executable(package.leads_to(package.root / "usr/lib/drbd/backstay-drbd-fence"))
    assert "os.path.realpath(__file__)" in (package.delivered / "libexec/drbd-fence").read_text()


def test_the_alert_agent_is_where_a_description_names_it(package):
    link = package.root / str(ALERT_AGENT).lstrip("/")
    assert is_executable(package.leads_to(link))
    done = isolated(package.leads_to(link))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Pacemaker runs this" in done.stderr


def test_the_library_is_whole(package, repository):
    source = repository / "lib/backstay"
    wanted = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {
        path.relative_to(package.library)
        for path in package.library.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == wanted


def test_templates_and_examples_are_there(package, repository):
    assert names(package.root / "usr/share/backstay/crm-templates") == names(repository / "crm-templates")
    assert names(package.root / "usr/share/crmsh/scripts") == names(repository / "crm-scripts")
    (examples,) = package.root.glob("usr/share/doc/**/examples")
    assert names(examples) == names(repository / "examples")


def test_the_manual_is_there_and_man_has_nothing_to_complain_of(package, repository, need, tmp_path):
    run(sys.executable, repository / "scripts/manual.py", tmp_path)
    there = {
        path.name.removesuffix(".gz"): path for path in (package.root / "usr/share/man").rglob("*.[578]*")
    }
    assert there.keys() == {path.name for path in tmp_path.iterdir()}
    for name, path in there.items():
        argv = [need("man"), "--warnings", "--encoding=UTF-8", "--local-file", path]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert path.parent.name == f"man{name[-1]}"
        # What apropos(1) would find it by.
        said = run("lexgrog", path).stdout
        assert f': "{name[:-2]} - ' in said, said


def test_mandoc_has_nothing_to_complain_of_either(package, fetched, tmp_path):
    """But for the date: a page has none, so that the same declarations give the same bytes."""
    pages = []
    for packed in sorted((package.root / "usr/share/man").rglob("*.[578]*")):
        pages.append(tmp_path / packed.name.removesuffix(".gz"))
        data = packed.read_bytes()
        pages[-1].write_bytes(gzip.decompress(data) if packed.suffix == ".gz" else data)
    argv = [fetched("mandoc"), "-T", "lint", "-W", "warning", *pages]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert said == []
    assert done.stdout.count("missing date") == len(pages), "it looked at each"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("backstay.bash", "bash-completion/completions/backstay"),
        ("_backstay", "zsh/*/_backstay"),
        ("backstay.fish", "fish/vendor_completions.d/backstay.fish"),
    ],
)
def test_completion_is_where_each_shell_looks(package, repository, source, place):
    (there,) = (package.root / "usr/share").glob(place)
    assert there.read_bytes() == (repository / "packaging/completion" / source).read_bytes()
    # Debian's zsh has a directory of its own for packages.
    assert there.parent.name != "site-functions" or package.file.suffix == ".rpm"


def test_the_order_of_shutdown_is_there(package, repository):
    units, source = package.root / "usr/lib/systemd/system", repository / "packaging/systemd"
    there = {path.relative_to(units): path.read_text() for path in units.rglob("*") if path.is_file()}
    assert there == {
        path.relative_to(source): path.read_text() for path in source.rglob("*") if path.is_file()
    }
    assert {path.as_posix() for path in there} == {
        "backstay-agents.service",
        "backstay-agents.timer",
        "backstay-fence.service",
        "backstay-fence.timer",
        "backstay-ganeti-node.service",
        "backstay-metrics.service",
        "backstay-metrics.timer",
        "resource-agents-deps.target.d/backstay.conf",
    }


def test_systemd_objects_to_no_unit(package, need, tmp_path):
    """To nothing but that its program is not there, before anything was installed."""
    units = sorted((package.root / "usr/lib/systemd/system").glob("backstay-*"))
    wrong = tmp_path / "backstay-wrong.service"
    wrong.write_text("[Service]\nType=oneshot\nExecStart=/bin/true\nNoNewPrivilege=yes\n")
    argv = [need("systemd-analyze"), "verify", "--man=no", *units, wrong]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr.splitlines()
    ours = [line for line in said if "backstay" in line and "is not executable" not in line]
    assert len(ours) == 1, ours
    assert re.search("Unknown key .*'NoNewPrivilege'", ours[0])


# By what systemd finds open, from 0 to 100. Not here: a rehearsal that makes hosts of its own, and Ganeti's daemons.
OPEN = {"backstay-fence.service": 83, "backstay-metrics.service": 28}


@pytest.mark.parametrize("name", OPEN)
def test_units_are_no_more_open_than_they_have_to_be(repository, need, name):
    unit = repository / "packaging/systemd" / name
    argv = [need("systemd-analyze"), "security", "--offline=yes", "--no-pager", "--threshold"]
    run(*argv, str(OPEN[name]), unit)
    less = subprocess.run([*argv, str(OPEN[name] - 1), unit], capture_output=True, text=True, check=False)
    assert less.returncode == 1, "it can be stricter: write down what it has come to"


def test_nothing_lies_elsewhere(package):
    top = {
        "/".join(path.relative_to(package.root).parts[:2])
        for path in package.root.rglob("*")
        if path.is_file()
    }
    assert top == {"usr/lib", "usr/share"}
    assert names(package.root / "usr/bin") == ["backstay"]
    assert is_executable(package.leads_to(package.root / "usr/bin/backstay"))


def isolated(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program from the unpacked tree with an empty environment: it finds its library by itself."""
    argv = [str(program), *arguments]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        argv,
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("agent", ["datastore", "domain", "frontend", "libvirtd"])
def test_an_agent_gives_its_metadata(package, agent):
    done = isolated(package.delivered / "agents" / agent, "meta-data")
    assert (done.returncode, done.stderr) == (0, "")
    assert etree.fromstring(done.stdout.encode()).get("name") == agent


@pytest.mark.parametrize("agent", FENCE_AGENTS)
def test_a_fence_agent_gives_its_metadata(package, agent):
    done = isolated(package.delivered / "fencing" / agent, "-o", "metadata")
    assert (done.returncode, done.stderr) == (0, "")
    assert etree.fromstring(done.stdout.encode()).get("name") == agent


def test_the_command_runs(package):
    done = isolated(package.delivered / "bin/backstay", "--version")
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_programs_run_isolated_on_the_distributions_python(package):
    for agent in (package.delivered / "agents").iterdir():
        assert agent.read_text().startswith("#!/usr/bin/python3 -IS\n")
    for agent in (package.delivered / "fencing").iterdir():
        assert agent.read_text().startswith("#!/usr/bin/python3 -I\n")


def test_every_program_finds_the_library_beside_itself(package):
    programs = [path for place in ("agents", "fencing") for path in (package.delivered / place).iterdir()]
    for program in (*programs, package.delivered / "libexec/command"):
        assert "os.path.realpath(__file__)" in program.read_text(), program.name


def test_the_isolated_python_finds_the_library_too(deb):
    look = "import sys; print('\\n'.join(sys.path))"
    path = run("/usr/bin/python3", "-I", "-c", look).stdout.splitlines()
    assert "/usr/lib/python3/dist-packages" in path
    link = deb.root / "usr/lib/python3/dist-packages/backstay"
    assert deb.leads_to(link) == deb.library


SYSTEMD_IS_TOLD = {"--system daemon-reload", "--no-block start virt-guest-shutdown.target"}
"""All that an installation tells systemd: to read its files again, and to know a target that is nothing but an order."""
TIMERS = "backstay-agents.timer backstay-fence.timer backstay-metrics.timer"
REMOVAL = {f"--no-reload disable --now {TIMERS}", "--no-reload disable backstay-ganeti-node.service"}
"""And what a removal tells it besides: what its admin enabled ends with the programs. No guest is one of them."""


def systemd_is_told(script: str) -> list[str]:
    """What a maintainer script asks of systemd, by whatever tool."""
    script = script.replace(
        f"deb-systemd-invoke stop {TIMERS} >", f"systemctl --no-reload disable --now {TIMERS} || "
    )
    assert not re.search(r"invoke-rc\.d|deb-systemd|(?<!\.)service ", script)
    return re.findall(r"^\s*systemctl (.*?) \|\| ", script, re.MULTILINE) + re.findall(
        r"systemctl (?!.* \|\| ).*", script
    )


def test_nothing_is_restarted_on_installation(deb, tmp_path):
    for name, file in deb.files.items():
        run("dpkg-deb", "-e", file, tmp_path / name)
    scripts = [path for path in tmp_path.rglob("*") if path.is_file() and os.access(path, os.X_OK)]
    assert {path.name for path in scripts} <= {"postinst", "prerm", "postrm"}
    told = {path: set(systemd_is_told(path.read_text())) for path in scripts}
    assert set().union(*(said for path, said in told.items() if path.name != "prerm")) == SYSTEMD_IS_TOLD
    assert set().union(*(said for path, said in told.items() if path.name == "prerm")) <= REMOVAL
    assert "libexec/take-over" in (tmp_path / "python3-backstay/postinst").read_text()


@pytest.mark.parametrize(
    ("action", "left"),
    [("remove", ["checkpoints", "definitions", "fence-identities"]), ("purge", []), ("upgrade", KEPT)],
)
def test_what_a_removal_leaves_and_a_purge_does_not(repository, tmp_path, action, left):
    for name in KEPT:
        (tmp_path / "var/lib/backstay" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "var/lib/backstay" / name).write_text("kept\n")
    script = re.sub(
        r"/(usr|var|run)/",
        rf"{tmp_path}/\1/",
        (repository / "packaging/debian/python3-backstay.postrm").read_text(),
    )
    run("/bin/sh", "-c", script, "postrm", action)
    place = tmp_path / "var/lib/backstay"
    assert sorted(each.name for each in place.glob("*")) == left
    assert place.exists() == bool(left)


def linked_with(program: str) -> set[str]:
    """The packages of a program's shared libraries."""
    found = [
        word for word in run("ldd", program).stdout.split() if word.startswith("/") and "ld-linux" not in word
    ]
    said = [
        subprocess.run(["dpkg", "-S", place], capture_output=True, text=True, check=False).stdout
        for file in found
        for place in (file, f"/usr{file}")
    ]
    return {line.partition(":")[0] for text in said for line in text.splitlines()}


def test_what_agents_stand_on_triggers_their_proof(deb, tmp_path):
    run("dpkg-deb", "-e", deb.files["python3-backstay"], tmp_path)
    wanted = [
        line.split() for line in (tmp_path / "triggers").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    assert {kind for kind, _ in wanted} == {"interest-noawait"}, "a trigger never holds a package up"
    for name in (
        "python3-minimal",
        "libpython3.11-stdlib",
        "ipmitool",
        "python3-libvirt",
        "python3-lxml",
        "libssl3",
        *linked_with("/usr/bin/ipmitool"),
        *linked_with("/usr/bin/python3"),
    ):
        owned = subprocess.run(
            ["dpkg", "-L", name], capture_output=True, text=True, check=False
        ).stdout.split()
        assert not owned or {path for _, path in wanted} & {
            each for file in owned for each in (file, *map(str, Path(file).parents))
        }, name
    assert "after-change changed" in (tmp_path / "postinst").read_text()


@pytest.mark.parametrize("kind", ["filetriggerin", "filetriggerpostun"])
def test_the_triggers_of_the_rpm_begin_the_proof(rpm, tmp_path, kind):
    said = run("rpm", "--query", "--package", "--filetriggers", rpm.files["python3-backstay"]).stdout
    part = next(
        each for each in re.split(r"^(?=trans|file)", said, flags=re.MULTILINE) if each.startswith(kind)
    )
    head, _, script = part.partition("\n")
    assert {"/usr/bin/python3", "/usr/bin/ipmitool", "/usr/lib/ocf", "/usr/lib/python3"} <= set(
        re.split(r"[ ,]+", head)
    )
    done = subprocess.run(
        ["/bin/sh", "-c", script.replace("/usr/lib/backstay/delivered", "echo /usr/lib/backstay/delivered")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[-1], "after-change" in done.stdout) == (0, "changed", True)


def test_the_rpm_restarts_nothing_either(rpm):
    scripts = run("rpm", "--query", "--package", "--scripts", *rpm.files.values()).stdout
    assert set(systemd_is_told(scripts)) == SYSTEMD_IS_TOLD | REMOVAL


def test_everything_that_is_imported_is_depended_on(deb, repository):
    depends = run("dpkg-deb", "-f", deb.files["python3-backstay"], "Depends").stdout
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")
    wanted = {
        "click": "python3-click",
        "cryptography": "python3-cryptography",
        "Jinja2": "python3-jinja2",
        "lxml": "python3-lxml",
        "PyYAML": "python3-yaml",
    }
    assert set(setup["options"]["install_requires"].split()) == set(wanted)
    there = {re.split(r"[ :(]", entry.strip())[0] for entry in depends.split(",")}
    assert {*wanted.values(), "python3-libvirt", "ipmitool", "pacemaker-cli-utils"} <= there


def test_all_say_the_same_version(deb, rpm):
    assert deb.file.name == f"backstay_{__version__}_all.deb"
    assert re.match(rf"backstay-{re.escape(__version__)}-\d", rpm.file.name)


# One source for both, and what is put together from it; the deb takes three times as long.
@pytest.mark.parametrize("kind", ["rpm", pytest.param("deb", marks=pytest.mark.long)])
def test_a_second_build_gives_the_same_bytes(request, repository, tmp_path, kind):
    files = request.getfixturevalue(kind).files.values()
    build(repository, kind, tmp_path)
    other = {each.name for each in files if (tmp_path / each.name).read_bytes() != each.read_bytes()}
    assert other == set()
