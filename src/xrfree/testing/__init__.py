"""Test kits for other packages; no part of xrfree itself uses them."""

from __future__ import annotations

from xrfree.testing.reader_contract import ContractError, reader_contract

__all__ = ["ContractError", "reader_contract"]
