"""The retraining hook: a critical incident that is mended by a retraining starts a command or
a webhook, once.

consumer/judging/incidents/retraining.py decides, command.py and webhook.py run the hook, and
consumer/stages/retraining.py reads the incidents, commits and holds the lease.
"""
