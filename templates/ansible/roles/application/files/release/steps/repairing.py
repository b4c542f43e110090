"""Ends what a run that was killed has left between two databases."""

from __future__ import annotations

from ..backups.restoring import end_replacing
from ..errors import Skipped
from ..releases import Release
from ..site import Site
from ..transaction import Transaction
from .restoring import end_restoring


def repair(transaction: Transaction) -> str:
    """Ends what a run that was killed has begun to restore."""
    repaired = end_what_was_begun(transaction.site, transaction.previous)
    if not repaired:
        raise Skipped("no database was being restored")
    return repaired


def end_what_was_begun(site: Site, live: Release | None) -> str:
    """Ends a rollback with the data, or a restore of a backup, that was killed. Says how, or ""."""
    return "; ".join(said for said in (end_restoring(site, live), end_replacing(site, live)) if said)
