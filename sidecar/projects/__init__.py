"""Projects: who may use what, under which key, and how the request path knows without asking a database."""
