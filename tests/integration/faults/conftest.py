"""The second server of the tests of backups."""

from tests.shared.backup.conftest import other, other_server

__all__ = ["other", "other_server"]
