"""What each format wrote, kept from real runs, and that this release reads it.

`NAME.backup` has keys and a registry, `NAME.spool` and `NAME.monitor` are spool files of an API and
of a client, `NAME.stamps.json` is a file of stamps. NAME begins with the format of the checkpoints.
`making.py` wrote them, but for `2.backup`: that is a run of the code before b35bae96, which had no
backups yet.
"""
