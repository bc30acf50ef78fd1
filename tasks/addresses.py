"""Addresses of data and results: they stand in reports, logs, run records and artifacts, so a secret may not stand in them."""

import re

from tasks.errors import InputError

# What follows `user:` up to the `@`; a port and a path, which may hold an `@` as well, are none.
_PASSWORD = re.compile(r"(?<=://)([^/:@\s]*):(?!\d{1,5}/)([^@\s]+)@")
# Names of query fields whose values let whoever has the address in: signed links of the stores, tokens of others.
_SECRET_FIELD = re.compile(
    r"([?&][\w.-]*(?:signature|token|secret|passw|credential|api-?_?key|access-?_?key|sig|auth)[\w.-]*=)([^&\s]+)",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return text with the secrets of the addresses in it blotted out.

    >>> redacted("s3://AKIA:wJal/rXUt@bucket/x.csv"), redacted("http://host:8080/a@b.csv?page=2")
    ('s3://AKIA:***@bucket/x.csv', 'http://host:8080/a@b.csv?page=2')
    >>> redacted("https://store/x.csv?X-Amz-Signature=f00&sig=b4r")
    'https://store/x.csv?X-Amz-Signature=***&sig=***'
    """
    return _SECRET_FIELD.sub(
        r"\1***", "::".join(_PASSWORD.sub(r"\1:***@", part) for part in text.split("::"))
    )


def check_no_secret(address: str) -> None:
    """Refuse an address with a password, key or signature in it.

    Raises:
        InputError: There is one.
    """
    if "://" in address and redacted(address) != address:
        raise InputError(
            "holds a password or signature, which would stand in the report and in the run's records",
            where=redacted(address),
            fix="name it without, and give the secret in the environment (AWS_ACCESS_KEY_ID and the like, or fsspec's "
            "FSSPEC_HTTPS, PGPASSWORD or ~/.pgpass); what a signed link leads to, download first",
        )
