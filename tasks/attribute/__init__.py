"""Influence of every sample on the evaluation loss, under every label."""

from tasks.attribute.audit import Audit, audit
from tasks.options import AuditOptions

__all__ = ["Audit", "AuditOptions", "audit"]
