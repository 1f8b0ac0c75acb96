"""Backup, restore and the drill: the ledger's database, its archive, the gateway's journals, a snapshot of Redis."""

from omega.storage.recovery.backup import BackupPlan, back_up, newest_backup, prune
from omega.storage.recovery.drill import Drill, drill
from omega.storage.recovery.manifest import Manifest, read_manifest
from omega.storage.recovery.restore import restore

__all__ = ["BackupPlan", "Drill", "Manifest", "back_up", "drill", "newest_backup", "prune", "read_manifest", "restore"]
