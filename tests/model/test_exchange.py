"""Packages that leave for other tools and come back, and packages that are signed."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from stormcast_tw.errors import BadPackage
from stormcast_tw.model import package as packages
from stormcast_tw.model.exchange import export_mdlus, import_mdlus
from stormcast_tw.model.package import ModelPackage
from stormcast_tw.model.signature import sign, verify


@pytest.fixture
def exported(small_package: ModelPackage, small_package_folder: Path, tmp_path: Path) -> Path:
    export_mdlus(small_package, small_package_folder, tmp_path / "mdlus")
    return tmp_path / "mdlus"


def test_there_and_back_is_the_same_package(exported: Path, small_package: ModelPackage, tmp_path: Path):
    saved = packages.save(import_mdlus(exported), tmp_path / "back")
    assert saved.digest == small_package.digest
    assert packages.load(tmp_path / "back").digest == small_package.digest


def test_physicsnemo_reads_what_is_exported(exported: Path, small_package: ModelPackage):
    from physicsnemo import Module

    loaded = Module.from_checkpoint(str(exported / "diffusion.mdlus"))
    for name, weights in small_package.networks["diffusion"].state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weights)


class Evil:
    def __reduce__(self):
        return (Path("owned").touch, ())


def test_code_in_a_checkpoint_does_not_run(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    replace_member(exported / "diffusion.mdlus", "model.pt", pickle.dumps(Evil(), protocol=2))
    with pytest.raises(BadPackage, match="is not a physicsnemo checkpoint that can be loaded weights-only"):
        import_mdlus(exported)
    assert not (tmp_path / "owned").exists()


def test_wrong_checkpoints_are_refused(exported: Path):
    regression = (exported / "regression.mdlus").read_bytes()
    (exported / "regression.mdlus").write_bytes((exported / "diffusion.mdlus").read_bytes())
    with pytest.raises(BadPackage, match=r"holds a EDMPreconditioner, the regression network is a SongUNet"):
        import_mdlus(exported)
    (exported / "regression.mdlus").write_bytes(regression[:1000])
    with pytest.raises(BadPackage, match="is not a physicsnemo checkpoint"):
        import_mdlus(exported)
    (exported / "regression.mdlus").unlink()
    with pytest.raises(BadPackage, match=r"regression\.mdlus: is missing"):
        import_mdlus(exported)


def test_weights_of_another_size_are_refused(exported: Path):
    description = json.loads((exported / "package.json").read_text())
    description["networks"][0]["architecture"]["model_channels"] = 32
    (exported / "package.json").write_text(json.dumps(description))
    with pytest.raises(BadPackage, match="weights do not fit the regression network"):
        import_mdlus(exported)


def replace_member(path: Path, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in (members | {name: data}).items():
            archive.writestr(member, content)


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_signature_holds_for_this_package_and_this_key(small_package: ModelPackage, tmp_path: Path):
    private, public = keys(tmp_path, "ours")
    _, stranger = keys(tmp_path, "theirs")
    folder = tmp_path / "package"
    packages.save(small_package, folder)
    with pytest.raises(BadPackage, match="the package is not signed"):
        verify(folder, public)
    sign(folder, private)
    verify(folder, public)
    with pytest.raises(BadPackage, match="is not a signature of package"):
        verify(folder, stranger)
    description = json.loads((folder / "package.json").read_text())
    (folder / "package.json").write_text(json.dumps(description | {"version": "9"}))
    with pytest.raises(BadPackage, match="is not a signature of package"):
        verify(folder, public)
    with pytest.raises(BadPackage, match="is not an Ed25519 private key"):
        rsa_as_key(folder, tmp_path)


def rsa_as_key(folder: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(65537, 2048)
    path = tmp_path / "rsa.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    sign(folder, path)
