"""The stage of a route of notifications: it follows the incidents of all models that the route
takes, has them sent, and commits what was told.
"""
