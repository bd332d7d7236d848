"""Ed25519 keys of persons: the private one in a file of its own, the public one in the ledger."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrfree.errors import LedgerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A private key; `public_key` (hex) says whose signatures they are."""

    public_key: str
    private: Any

    def sign(self, digest: str) -> str:
        """Signature (hex) of a record's digest."""
        return str(self.private.sign(bytes.fromhex(digest)).hex())


def create_key(path: Path, *, password: str = "") -> Signer:
    """Make a key pair; the private key goes to a new file (PEM, PKCS 8) that only its owner can read.

    password : encrypts the file; empty for none.
    """
    ed25519, serialization = _library()
    private = ed25519.Ed25519PrivateKey.generate()
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise LedgerError(
            f"{path}: the key cannot be written ({error.strerror}). Name a new file in a folder of your own."
        ) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
    return _signer(private, serialization)


def load_key(path: Path, *, password: str = "") -> Signer:
    """The key of a file that `create_key` wrote."""
    ed25519, serialization = _library()
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password.encode() if password else None)
    except OSError as error:
        raise LedgerError(f"{path}: the key cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, TypeError) as error:
        raise LedgerError(
            f"{path} is not a readable private key ({error}). Give the file that `xrfree ledger key` wrote, "
            "and its password in XRFREE_KEY_PASSWORD if it has one."
        ) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise LedgerError(f"{path} holds a key of another kind than Ed25519. Make one with `xrfree ledger key`.")
    return _signer(private, serialization)


def signature_is_valid(*, digest: str, signature: str, public_key: str) -> bool:
    """Whether a signature (hex) of a digest (hex) was made with the private key of a public one (hex)."""
    ed25519, _ = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        public.verify(bytes.fromhex(signature), bytes.fromhex(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signer(private: Any, serialization: Any) -> Signer:
    public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return Signer(public_key=public.hex(), private=private)


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise LedgerError('signatures need the package cryptography. Install it: pip install "xrfree[sign]"') from error
    return ed25519, serialization
