"""The crowd server: worker pages, the owner's page, and MTurk's requester protocol, on one study's catalog.

- ``settings``   what an owner can set, and what all the parts share
- ``database``   the catalog behind an event loop: one thread, short transactions
- ``leases``     taking, submitting and returning HITs
- ``questions``  the page of one HIT, guarded
- ``pictures``   images behind opaque addresses
- ``work``       the pages for workers;  ``owner`` the owner's page
- ``protocol``   MTurk's operations;  ``sigv4`` their signatures;  ``requests`` what goes in and out of them
- ``app``        all of it put together
"""
