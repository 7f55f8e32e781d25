#!/usr/bin/env python3
"""Runs one of MicroPython's programs for tests, or its pyboard.py, with more patience. They give a test or a device ten or
thirty seconds, and a busy machine needs that time for others.

    patient.py RUNNER ARGUMENT...
"""

import importlib.util
import os
import sys

LIMIT = 900

RUNNER = os.path.abspath(sys.argv.pop(1))
FOLDER = os.path.dirname(RUNNER)
# As if it had been started itself.
sys.argv[0] = RUNNER
sys.path[0] = FOLDER
sys.path.append(os.path.join(FOLDER, "../tools"))

import pyboard  # noqa: E402

specification = importlib.util.spec_from_file_location("runner", RUNNER)
runner = importlib.util.module_from_spec(specification)
sys.modules["runner"] = runner
specification.loader.exec_module(runner)
# The runner may be pyboard.py itself, which then has classes of its own.
for module in {pyboard, runner if hasattr(runner, "Pyboard") else pyboard}:
    for function in (module.Pyboard.read_until, module.Pyboard.exec_raw):
        function.__defaults__ = tuple(LIMIT if value == 10 else value for value in function.__defaults__)
# Each has one of them.
runner.TEST_TIMEOUT = LIMIT
runner.INSTANCE_READ_TIMEOUT_S = LIMIT
sys.exit(runner.main())
