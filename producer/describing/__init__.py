"""What each route takes and answers, declared beside it: from this come the OpenAPI document and
the refusal of parameters that no route knows.
"""
