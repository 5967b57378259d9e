"""The environment of the command, as far as workers need it.

A cluster's processes were started in an environment of their own, without the credentials of the store or the places of
newtest's files. What is chosen here travels with the work through Ray's object store: not as Ray's ``runtime_env``,
which Ray writes into its logs and shows on its dashboard.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chosen", "taken"]

_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "HF_", "NEWTEST_")
_ALSO = ("TORCH_HOME", "NLTK_DATA", "XDG_CACHE_HOME", "SSL_CERT_FILE")
_OURS = ("NEWTEST_ACCESS_TOKEN", "NEWTEST_STUDY", "NEWTEST_STATE", "NEWTEST_CONFIG")
"""Of studies and their servers: no worker on a pool needs them."""
_PATHS = ("_FILE", "_BUNDLE", "_PATH", "_DIR", "_HOME", "_CACHE", "_CREDENTIALS", "NEWTEST_WORDNET", "_DATA")
"""How the names of variables end that hold a path; a secret may begin with a slash, too."""
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def chosen(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that go with the work, by name."""
    environment = os.environ if environment is None else environment
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith(_PREFIXES) or name in _ALSO) and name not in _OURS
    }


def taken(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Set the variables here; gives the names of those that were not, because this machine lacks the path they name.

    A key of AWS comes with its token or without any: a token of this machine's own would not fit it.
    """
    absent = tuple(
        name
        for name, value in sorted(variables.items())
        if name.endswith(_PATHS) and value.startswith("/") and not Path(value.split(os.pathsep)[0]).exists()
    )
    if _KEYS[0] in variables:
        for name in _KEYS:
            os.environ.pop(name, None)
    os.environ.update({name: value for name, value in variables.items() if name not in absent})
    return absent
