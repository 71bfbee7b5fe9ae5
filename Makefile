# SPDX-License-Identifier: GPL-2.0-or-later
venv:
	scripts/venv
.PHONY: venv
