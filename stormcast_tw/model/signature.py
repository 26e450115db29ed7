"""A detached signature of a package: Ed25519 over its digest, in `package.sig` beside it. `oper` may ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from stormcast_tw.errors import BadPackage
from stormcast_tw.model.description import Description, describe
from stormcast_tw.model.files import read_bounded

SIGNATURE = "package.sig"
_SIGNATURE_BYTES = 64
_NO_KEY = (ValueError, TypeError, UnsupportedAlgorithm)
"""What cryptography raises on a PEM that is none, that has a password, or is of a kind it does not know."""


def sign(folder: Path, private_key: Path) -> Path:
    """Sign the package with a private key (PEM, Ed25519, as made by `openssl genpkey -algorithm ed25519`)."""
    try:
        key = load_pem_private_key(private_key.read_bytes(), password=None)
    except _NO_KEY as error:
        raise BadPackage(f"{private_key}: is not a private key without a password: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadPackage(f"{private_key}: is not an Ed25519 private key")
    path = folder / SIGNATURE
    path.write_bytes(key.sign(bytes.fromhex(describe(folder).digest)))
    return path


def verify(folder: Path, public_key: Path) -> None:
    """Raise BadPackage unless the package is signed with the key that belongs to this public key (PEM, Ed25519)."""
    path, digest = folder / SIGNATURE, describe(folder).digest
    key = _public(public_key)
    if not path.exists():
        raise BadPackage(f"{path}: the package is not signed")
    if not _signs(path, digest, key):
        raise BadPackage(f"{path}: is not a signature of package {digest} by {public_key}")


def require_trusted(folder: Path, description: Description, digests: Sequence[str], keys: Sequence[Path]) -> None:
    """Raise BadPackage unless the digest is one of `digests`, or the package is signed with one of the public keys.

    That a package is trained is its own word. `description` is that of the package in `folder`, its files verified.
    """
    path, digest = folder / SIGNATURE, description.digest
    if digest in digests or (path.exists() and any(_signs(path, digest, _public(key)) for key in keys)):
        return
    found = "signed by none of the keys" if path.exists() else "not signed by one of the keys"
    raise BadPackage(
        f"{folder}: package {description.name} {description.version} is {found} in STORMCAST_TW_OPER_KEYS "
        f"({len(keys)} keys), and its digest {digest} is not in STORMCAST_TW_OPER_PACKAGES ({len(digests)} digests)"
    )


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except _NO_KEY as error:
        raise BadPackage(f"{path}: is not a public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadPackage(f"{path}: is not an Ed25519 public key")
    return key


def _signs(path: Path, digest: str, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(read_bounded(path, _SIGNATURE_BYTES), bytes.fromhex(digest))
    except InvalidSignature:
        return False
    return True
