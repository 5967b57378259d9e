"""An audit: people look over a stratified sample of a pool's rows, and what they say bounds a share of all rows."""

from newtest.pool.audit.answers import Audited, StratumShare, audited
from newtest.pool.audit.config import AuditConfig
from newtest.pool.audit.draw import Item, Sample, draw
from newtest.pool.audit.folder import write_audit

__all__ = ["AuditConfig", "Audited", "Item", "Sample", "StratumShare", "audited", "draw", "write_audit"]
