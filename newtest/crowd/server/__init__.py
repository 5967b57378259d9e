"""The crowd server: worker pages, the owner's page, and MTurk's requester protocol, on one study's catalog.

- ``settings``   what an owner can set, and what all the parts share
- ``database``   the catalog behind an event loop: one thread, short transactions
- ``leases``     taking, submitting and returning HITs
- ``questions``  the page of one HIT, guarded
- ``pictures``   images behind opaque addresses
- ``work``       the pages for workers;  ``owner`` the owner's page;  ``tally`` answers to controls
- ``protocol``   MTurk's protocol over HTTP;  ``sigv4`` its signatures;  ``market`` its operations;
  ``parameters`` and ``shapes`` what goes in and out of them
- ``app``        all of it put together
"""
