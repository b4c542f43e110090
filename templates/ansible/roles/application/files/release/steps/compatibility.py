"""Whether the release that runs can live with the pending migrations."""

from __future__ import annotations

from ..errors import ConfirmationNeededError, Skipped
from ..messages import counted
from ..transaction import Transaction

CONFIRM = "--allow-incompatible-migrations"


def require_compatibility(transaction: Transaction) -> str:
    """
    Stops unless the release that runs can live with the database after the migrations, because it
    goes on serving until the new one is proven, and it serves again after a rollback.
    """
    if not transaction.pending:
        raise Skipped("no migration is pending")
    if transaction.previous is None:
        raise Skipped("nothing is live yet")
    stops = transaction.judgement.get("stops", [])
    for finding in transaction.judgement.get("warnings", []):
        transaction.reporter.warning("compatibility", f"{describe(finding)}: {finding['remedy']}")
    if not stops:
        return f"{transaction.previous.id} can live with them"
    if transaction.request.allow_incompatible_migrations:
        for finding in stops:
            transaction.reporter.warning("compatibility", describe(finding))
        return f"{counted(len(stops), 'incompatible change')} allowed"
    described = [f"{describe(finding)}. To split it: {finding['remedy']}" for finding in stops]
    raise ConfirmationNeededError(
        f"the release that runs cannot live with {counted(len(stops), 'pending change')} of the database: "
        f"{'; '.join(described)}. Either split the change into two releases, or confirm with {CONFIRM} "
        f"that requests of {transaction.previous.id} may fail until the new release is live, and after a "
        "rollback (deploy.yml: -e allow_incompatible_migrations=true)",
        described,
    )


def describe(finding: dict[str, str]) -> str:
    """A finding as a sentence."""
    target = f" {finding['target']}" if finding["target"] else ""
    return f"{finding['migration']}, {finding['operation']}{target}: {finding['reason']}"
