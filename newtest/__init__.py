"""newtest: replicate a test set; curate an image-text pool.

The folders are the table of contents. A *study* (a folder with ``study.sqlite``) goes through
``classes`` → ``sources`` → ``fetch`` → ``crowd`` → ``votes`` → ``duplicates`` → ``sampling`` → ``review`` →
``release`` → ``evaluation``; a *pool* (WebDataset shards) goes through ``pool``. Nothing heavy is imported here.
"""

__version__ = "0.1.0"
