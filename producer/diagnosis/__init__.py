"""How a deployment is, from outside: what a newcomer gets wrong, and how the models stand.

It asks the API if one answers, and Redis itself if not; nothing is written.
"""
