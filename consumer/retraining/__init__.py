"""The retraining hook: a critical performance alert starts a command or a webhook, once per
cooldown.

state.py decides and is pure; command.py and webhook.py carry it out; consumer/stages/retraining.py
reads the alerts, commits and holds the lease.
"""
