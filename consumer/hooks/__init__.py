"""The hooks: a critical incident that asks for a retraining, or for a rollback, starts a command or
a webhook, once.

consumer/judging/incidents/hooks.py decides, command.py and webhook.py run the hook, and
consumer/stages/acting.py reads the incidents, commits and holds the lease. returning.py is a
command that is ready to be used for rollbacks.
"""
