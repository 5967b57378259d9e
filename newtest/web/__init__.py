"""What every page of newtest stands on: keys and tokens, headers, limits, access, and the server itself.

A leaf: it knows neither studies nor HITs. The crowd server (``newtest.crowd.server``) and the reviewer's
pages (``newtest.review``) are built of it, so that both are guarded in the same way:

- ``keys``     what is derived from a secret: CSRF tokens, opaque names for images, signed links
- ``headers``  a Content-Security-Policy that loads nothing from another host, and its companions
- ``limits``   bytes and seconds that a request may take
- ``forms``    posted forms, parsed with limits
- ``access``   the owner's token, the Host header, and the rule for hosts
- ``serving``  one way to run an application: for people, and in a thread for tests
"""

from __future__ import annotations

from importlib.util import find_spec

from newtest.errors import MissingExtra

for _package in ("starlette", "cryptography"):
    if find_spec(_package) is None:
        raise MissingExtra(_package, "crowd")
