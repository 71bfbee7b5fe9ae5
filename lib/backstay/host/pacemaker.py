# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker's own tools: crm_verify, cibadmin, crm_diff.

Decides how they are called and what their exit codes mean (crm_error(8)); never what a configuration should say.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree

from backstay.errors import BadInput, CannotAsk, Refused
from backstay.host.process import Completed, ProcessTimedOut, ToolMissing, run

TIMEOUT = 60.0
PACKAGE = "pacemaker-cli-utils"
_LINE = re.compile(r"\([^)]*\)\s+(error|warning):\s*(.*)")
SILENT = "Init failed"
# CRM_EX_OLD: the patch is for an older version of the CIB than the one that it met.
_MOVED = 103
# CRM_EX_TIMEOUT: the time was over before it was done.
_LATE = 124
# Tells Pacemaker that nothing was changed and nothing failed.
_SAME, _DIFFERENT = 0, 1


class Runner(Protocol):
    """Runs a program to its end: host.process.run, or something that does the same elsewhere."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> Completed: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What crm_verify says about a CIB."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


class Pacemaker:
    """The cluster of this host. `environment` is for Pacemaker's tools (CIB_file makes them work on a file)."""

    def __init__(self, environment: Mapping[str, str] | None = None, runner: Runner = run) -> None:
        self._environment = dict(environment or {})
        self._runner = runner

    def _run(self, *argv: str, stdin: str = "") -> Completed:
        try:
            return self._runner(argv, timeout=TIMEOUT, environment=self._environment, stdin=stdin)
        except ToolMissing as error:
            raise CannotAsk(str(error), hint=f"install the package {PACKAGE}") from error

    def verify(self, cib: bytes) -> Verdict:
        """What crm_verify finds in `cib`; works without a cluster. CannotAsk when it ends without an answer."""
        done = self._run("crm_verify", "--xml-pipe", "-VV", stdin=cib.decode())
        # -V shows errors, -VV warnings as well; both make it end with CRM_EX_CONFIG (78).
        said = [match.groups() for match in map(_LINE.match, done.stderr.splitlines()) if match]
        errors = tuple(text for kind, text in said if kind == "error")
        warnings = tuple(text for kind, text in said if kind == "warning")
        if not (done.ok or errors or warnings):
            raise CannotAsk(f"crm_verify could not judge the CIB: {done.complaint()}")
        return Verdict(errors, warnings)

    def live(self) -> bytes:
        """The CIB of the running cluster; CannotAsk when it does not answer."""
        done = self._run("cibadmin", "--query")
        if not done.ok:
            said = done.complaint()
            # cibadmin's own words for it do not say what has failed
            why = "Pacemaker does not run here, or not for this user" if SILENT in said else said
            hint = (
                "run it as root on a host where Pacemaker runs; what only reads takes a CIB in a file as well"
            )
            raise CannotAsk(f"the cluster on this host does not answer: {why}", hint=hint)
        return done.stdout.encode()

    def replace(self, old: bytes, new: bytes) -> bool:
        """Turn the live CIB from `old` into `new` in one transaction; False when there is nothing to change.

        Raises Refused, and changes nothing, when the live configuration is no longer the one in `old`; the status,
        which changes all the time, does not count. CannotAsk when the cluster does not answer.
        """
        patch = self._difference(old, new)
        if patch is None:
            return False
        try:
            done = self._run("cibadmin", "--patch", "--sync-call", "--xml-pipe", stdin=patch)
        except ProcessTimedOut as error:
            hint = "run `backstay plan`: it says what is still to be changed"
            raise CannotAsk(
                f"{error}, so nobody knows whether the configuration was loaded", hint=hint
            ) from error
        if done.returncode == _MOVED:
            hint = "somebody changed it meanwhile: look at the change and run the same command again"
            raise Refused("the live configuration has moved, nothing was loaded", hint=hint)
        if not done.ok:
            raise CannotAsk(f"the cluster did not take the configuration: {done.complaint()}")
        return True

    def settled(self, seconds: float) -> bool:
        """Whether the cluster has nothing left to do, waiting for it for at most `seconds`."""
        done = self._run("crm_resource", "--wait", f"--timeout={seconds:.0f}s")
        if done.ok or done.returncode == _LATE:
            return done.ok
        raise CannotAsk(f"whether the cluster has settled cannot be asked: {done.complaint()}")

    def fencings(self) -> frozenset[tuple[str, str]]:
        """The hosts that were fenced with success, each with the time of it, as far as the fencer remembers."""
        done = self._run("stonith_admin", "--history=*", "--output-as=xml")
        if not done.ok:
            hint = "run it as root on a host where Pacemaker runs"
            raise CannotAsk("the fencer on this host does not answer", hint=hint)
        try:
            events = etree.fromstring(done.stdout.encode()).iterfind(".//fence_event")
        except etree.XMLSyntaxError as error:
            raise CannotAsk(f"the fencer's history cannot be read: {done.complaint()}") from error
        return frozenset(
            (event.get("target", ""), event.get("completed", ""))
            for event in events
            if event.get("status") == "success" and event.get("action") in ("off", "reboot")
        )

    def _difference(self, old: bytes, new: bytes) -> str | None:
        with tempfile.TemporaryDirectory(prefix="backstay-") as directory:
            before, after = Path(directory) / "old.xml", Path(directory) / "new.xml"
            before.write_bytes(old)
            after.write_bytes(new)
            done = self._run("crm_diff", "--original", str(before), "--new", str(after))
        if done.returncode == _SAME and not done.stdout.strip():
            return None
        if done.returncode != _DIFFERENT:
            raise CannotAsk(f"crm_diff could not compare the configurations: {done.complaint()}")
        return _guarded(done.stdout, old)


def _guarded(patch: str, old: bytes) -> str:
    """`patch` with a version that holds for the configuration of `old`, whatever its status.

    Pacemaker takes a patch only when the versions in its <source> are those of the live CIB. num_updates, which counts
    status changes too, is left out: then only admin_epoch and epoch are compared (seen with Pacemaker 2.1.5).
    """
    cib, diff = etree.fromstring(old), etree.fromstring(patch.encode())
    admin_epoch, epoch = (cib.get(name, "") for name in ("admin_epoch", "epoch"))
    if not (admin_epoch.isdigit() and epoch.isdigit()):
        raise BadInput("the CIB has no epoch, so nobody can tell whether it has moved")
    version = diff.find("version")
    if version is None:
        version = etree.Element("version")
        diff.insert(0, version)
    version[:] = []
    etree.SubElement(version, "source", admin_epoch=admin_epoch, epoch=epoch)
    etree.SubElement(version, "target", admin_epoch=admin_epoch, epoch=str(int(epoch) + 1), num_updates="0")
    return etree.tostring(diff, encoding="unicode")
