"""Parts of the logging configuration."""

import logging


class AccessLogFilter(logging.Filter):
    """Turns a line of Gunicorn's access log into fields. Never drops one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's text, and add method, path, status, duration (ms) and more."""
        atoms = record.args
        if isinstance(atoms, dict):
            record.method = atoms["m"]
            record.path = atoms["U"]
            record.status = int(atoms["s"])
            record.duration_ms = int(atoms["M"])
            record.bytes = atoms["B"]
            record.user_agent = atoms["a"]
            # The request is over when Gunicorn logs it, so the id is read from the response.
            record.request_id = atoms["{x-request-id}o"]
            record.msg = "%s %s %s"
            record.args = (record.method, record.path, record.status)
        return True
