"""Writes to the administrator, through the mail server of this host."""

from __future__ import annotations

import contextlib
import smtplib
import socket
from collections.abc import Sequence
from email.message import EmailMessage

from ..errors import ReleaseError
from ..site import Site

MAIL_SECONDS = 30


def write_to(address: str, site: Site, subject: str, lines: Sequence[str], port: int = 25) -> None:
    """Sends a mail. Raises ReleaseError when the mail server does not take it."""
    mail = EmailMessage()
    mail["From"] = f"webmaster@{site.config.domain}"
    mail["To"] = address
    mail["Subject"] = f"[{site.name}] {subject}"
    mail.set_content("\n".join([*lines, ""]))
    try:
        with contextlib.closing(smtplib.SMTP(timeout=MAIL_SECONDS)) as server:
            server.connect("127.0.0.1", port)
            server.send_message(mail)
            server.quit()
    except (OSError, smtplib.SMTPException) as error:
        raise ReleaseError(
            f"no mail could be sent to {address} from {socket.gethostname()}: {error}"
        ) from None
