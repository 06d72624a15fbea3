"""A row of an older version of the application."""

import os
import sqlite3
import tempfile

os.environ["TICKETS"] = tempfile.mkdtemp() + "/tickets.db"
with sqlite3.connect(os.environ["TICKETS"]) as database:
    database.execute("create table ticket (id integer, state text, labels text)")
    database.execute("insert into ticket values (3, 'parked', '[]')")

from shop import app

app.test_client().get("/tickets/3")
