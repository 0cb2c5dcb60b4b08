"""How names, numbers, times and other people's text are said: the same wherever people read them.
Pure.
"""
