"""The retraining hook: a critical performance alert starts a command or a webhook, once per
cooldown.

consumer/judging/alerts/retraining.py decides, command.py and webhook.py run the hook, and
consumer/stages/retraining.py reads the alerts, commits and holds the lease.
"""
