"""A detached signature of a package: Ed25519 over its digest, in `package.sig` beside it. Optional."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from stormcast_tw.errors import BadPackage
from stormcast_tw.model.description import describe

SIGNATURE = "package.sig"


def sign(folder: Path, private_key: Path) -> Path:
    """Sign the package with a private key (PEM, Ed25519, as made by `openssl genpkey -algorithm ed25519`)."""
    key = load_pem_private_key(private_key.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadPackage(f"{private_key}: is not an Ed25519 private key")
    path = folder / SIGNATURE
    path.write_bytes(key.sign(bytes.fromhex(describe(folder).digest)))
    return path


def verify(folder: Path, public_key: Path) -> None:
    """Raise BadPackage unless the package is signed with the key that belongs to this public key (PEM, Ed25519)."""
    path, digest = folder / SIGNATURE, describe(folder).digest
    key = load_pem_public_key(public_key.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise BadPackage(f"{public_key}: is not an Ed25519 public key")
    if not path.exists():
        raise BadPackage(f"{path}: the package is not signed")
    try:
        key.verify(path.read_bytes(), bytes.fromhex(digest))
    except InvalidSignature:
        raise BadPackage(f"{path}: is not a signature of package {digest} by {public_key}") from None
