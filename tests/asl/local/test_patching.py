"""A hook that no longer fits stops the start and names itself."""

from __future__ import annotations

import types

import pytest

from asl.local.launcher import CONSTRAINTS
from asl.local.patching import HookMismatchError, pinned, replace, require_pinned


@pytest.fixture
def module():
    made = types.ModuleType("emulator.service")
    made._call = lambda name, payload: (name, payload)
    return made


def test_a_fitting_function_is_replaced(module):
    replace(
        "h", module, "_call", ("name", "payload"), lambda original: lambda *given: ("seen", *original(*given))
    )
    assert module._call("a", 1) == ("seen", "a", 1)


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("_gone", ("name",), r"emulator\.service\._gone is missing"),
        ("_call", ("name", "payload", "token"), r"_call\(name, payload\) was expected to take"),
    ],
)
def test_another_name_or_signature_is_refused(module, name, parameters, problem):
    before = module._call
    with pytest.raises(HookMismatchError, match=rf"hook 'h' .*{problem}"):
        replace("h", module, name, parameters, lambda original: original)
    assert module._call is before


def test_another_version_is_refused(tmp_path):
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("six==1.0\npytest==0.0.1\n")
    with pytest.raises(HookMismatchError, match=r"pytest .* is installed, the hooks are for 0\.0\.1"):
        require_pinned("pytest", constraints)


def test_the_emulator_is_pinned():
    assert pinned("ministack", CONSTRAINTS).count(".") == 2
