"""The archive is counted again: its rows become events, and events panes, as counting made them. A
challenger is held against the version that answered them.
"""
