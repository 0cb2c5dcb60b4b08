"""What each process may do in Redis, least first: a table, and the users that Redis makes of it."""
