# SPDX-License-Identifier: GPL-2.0-or-later
"""What is recognised as a secret in free text, and what is not."""

from __future__ import annotations

import time

import pytest

from backstay.cloud.secrets import found_in, is_a_name, masked

SECRET = """https://u:hunter2@h/x
smtp://:hunter2@h
vers=3,password=hunter2
username=a,pass=hunter2
password2=hunter2
https://h/x?token=hunter2
https://h/x?a=b&access_token=hunter2
https://h/x?a=b&sig=hunter2
--password hunter2
--password=hunter2
-o secret=hunter2
--snmp-priv-passwd=hunter2
https://hooks.slack.com/services/T0/B0/hunter2
https://discord.com/api/webhooks/1/hunter2
https://contoso.webhook.office.com/webhookb2/hunter2
https://api.telegram.org/bot123:hunter2/sendMessage
https://mm.example.org/hooks/abcdefghijklmnopqrst12
API_KEY=hunter2
client_secret='hunter2'
passphrase = hunter2
pwd=hunter2""".splitlines()
ORDINARY = """vers=4.2,noatime
sec=krb5p,hard
credentials=/etc/backstay/share
secretfile=/etc/ceph/admin.secret
password_file=/etc/x
passwd=/etc/x
password={file:/etc/x}
https://alerts.example.org/hook
https://u@h/x
ssh://root@h:22/x
qemu+ssh://root@n1/system
http://[fe80::1]:80/x
https://h:8443/a:b@c
admin@example.org
admin:oncall@example.org
journal
bypass=1
compass=2
https://h/hooks/ops
tokens=3
key=value
https://h/x?page=2
https://h/x?monkey=1
-o StrictHostKeyChecking=no
--passwordless x
--password-file /etc/x
--password --verbose
passive
token bucket
10.0.0.1:/export/secret
/srv/password
/srv/a:b@c
backup-volfile-servers=n2:n3
token=
the token is 3s
https://office.example.com/webhook/1
iqn.2026-01.org.example:secret""".splitlines()


@pytest.mark.parametrize("text", SECRET)
def test_a_secret_is_seen_and_not_shown(text):
    found = found_in(text)
    assert found
    assert "hunter2" not in found


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_ordinary_is_not_refused(text):
    assert found_in(text) == ""
    assert masked(text) == text


def test_names_that_say_where_a_secret_is_are_none():
    secrets = ("password", "snmp_priv_passwd", "apiToken", "community", "private-key")
    assert all(map(is_a_name, secrets))
    assert not any(map(is_a_name, ("smtp_password_file", "web_token_file", "password_script", "addr")))


def test_a_password_in_an_address_is_masked():
    assert (
        masked("not https://u:hunter2@h/x, nor https://:hunter2@i")
        == "not https://u:...@h/x, nor https://:...@i"
    )


@pytest.mark.parametrize("part", ["a", "a_", "a-", "--", "://", "http://a?a&", "password = ", "://:"])
def test_a_long_text_takes_no_time(part):
    text = "=" + part * 10_000
    began = time.process_time()
    found_in(text)
    masked(text[:2048])
    assert time.process_time() - began < 0.5
