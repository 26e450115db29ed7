"""`oper` trusts a package by its signature or by its digest, not by its own word."""

import json
import shutil
from pathlib import Path

import pytest

from stormcast_tw.errors import BadPackage
from stormcast_tw.inputs.request import Request
from stormcast_tw.model.description import describe, read_description
from stormcast_tw.model.signature import sign
from stormcast_tw.settings import settings
from tests.conftest import CYCLE, NOW
from tests.model.test_exchange import keys


def tell(folder: Path, **changes: object) -> None:
    path = folder / "package.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_oper_takes_a_package_that_is_signed_or_named(
    small_package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Path(shutil.copytree(small_package_folder, tmp_path / "package"))
    tell(folder, trained=True, simulated=False)
    digest = describe(folder).digest
    (private, public), (_, stranger) = keys(tmp_path, "ours"), keys(tmp_path, "theirs")

    def ask(**trusted: list[str]) -> Request:
        for name in ("oper_packages", "oper_keys"):
            monkeypatch.setenv(f"STORMCAST_TW_{name.upper()}", json.dumps(trusted.get(name, [])))
        settings.cache_clear()
        return Request(CYCLE, 1, "oper", folder, read_description(folder), NOW)

    refused = rf"{digest} is not in STORMCAST_TW_OPER_PACKAGES"
    for trusted in ({}, {"oper_packages": ["0" * 64]}, {"oper_keys": [str(public)]}):
        with pytest.raises(BadPackage, match=f"not signed by one of the keys.*{refused}"):
            ask(**trusted)
    assert ask(oper_packages=["0" * 64, digest]).experiment == "oper"
    sign(folder, private)
    with pytest.raises(BadPackage, match=f"signed by none of the keys.*1 keys.*{refused}"):
        ask(oper_keys=[str(stranger)])
    assert ask(oper_keys=[str(stranger), str(public)]).experiment == "oper"
    tell(folder, version="9")
    with pytest.raises(BadPackage, match="signed by none of the keys"):
        ask(oper_keys=[str(public)])
