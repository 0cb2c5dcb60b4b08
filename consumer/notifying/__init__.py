"""Telling people and machines of incidents: what each route of the policy file gets, and when; and
the sending of it.

routes.py says what a route is, `routing/` decides without clock or network what is told next,
`targets/` sends it, and consumer/stages/notifying.py reads the incidents, commits and holds the
lease.
"""
