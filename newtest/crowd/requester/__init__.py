"""Pages that other people wrote for Mechanical Turk, shown here unchanged.

- ``hosts``       which other hosts an owner lets such pages load from
- ``inspection``  what a page needs, and what of it cannot work here
- ``scripts``     the JavaScript that AWS served to such pages, written anew: form elements, ``turkSetAssignmentID``;
                  and the watch over pictures that do not load
- ``rewriting``   a page as it is sent to a worker
"""
