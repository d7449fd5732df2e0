# SPDX-License-Identifier: BSD-2-Clause
# One line per unit test: the sources that are linked with tests/unit/test_NAME.c.
