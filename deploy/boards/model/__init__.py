"""The board of one model: its drift by feature, its performance, segments and traffic."""
