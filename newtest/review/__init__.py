"""The reviewer's pages: look over classes and close pairs, block, judge, undo. Every verdict is a row."""

from newtest.review.app import review_app, reviewer_link
from newtest.review.pending import Progress, revision_progress

__all__ = ["Progress", "review_app", "reviewer_link", "revision_progress"]
