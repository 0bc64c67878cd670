"""The ledger: one row for every request, exact to the pico-dollar, in SQLite or PostgreSQL.

Read `rows` (what a request leaves behind), `writer` (how it gets into the database without slowing an answer),
`queries` and `export` (how it comes out again). Nothing is imported here, so that a row costs no database driver.
"""
