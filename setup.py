"""Builds in a temporary folder; all else is in `setup.cfg`.

In the checkout, what an earlier build left in `build/lib` would get into the next wheel.
"""

import tempfile

from setuptools import setup

with tempfile.TemporaryDirectory() as folder:
    setup(options={"build": {"build_base": folder}, "egg_info": {"egg_base": folder}})
