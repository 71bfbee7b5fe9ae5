# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role as ansible-core reads it: its syntax, its variables, and that no secret is shown."""

from __future__ import annotations

import os
import re
import subprocess

import yaml


def test_ansible_reads_the_role(repository, need, tmp_path):
    done = subprocess.run(
        [need("ansible-playbook"), "--syntax-check", "-i", "n1,n2,n3,", repository / "ansible/site.yml"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": str(repository / "ansible/roles"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # What is included when it is played is not looked at before.
    assert "include_tasks" not in (repository / "ansible/roles/backstay/tasks/main.yml").read_text()


def test_every_variable_has_a_default_and_what_touches_a_secret_shows_nothing(repository):
    role = repository / "ansible/roles/backstay"
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    tasks = [path.read_text() for path in sorted((role / "tasks").glob("*.yml"))]
    registered = set(re.findall(r"register: (\w+)", "".join(tasks))) | {"backstay_cluster", "backstay_bare"}
    used = set(re.findall(r"\bbackstay_\w+", "".join(tasks)))
    assert used - registered == set(defaults)
    for text in tasks:
        for task in text.split("- name: ")[1:]:
            if re.search(r"backstay_bmc_password\b(?!_)|backstay_key\b", task):
                assert "no_log: true" in task, task


def test_the_play_of_the_documentation_is_the_one_that_is_tested(repository):
    page = (repository / "docs/how-to-use-ansible.md").read_text()
    play = re.search(r"^```\n(- name: .*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert play
    assert yaml.safe_load(play[1]) == yaml.safe_load((repository / "ansible/site.yml").read_text())
