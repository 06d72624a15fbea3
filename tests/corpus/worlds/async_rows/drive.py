"""A coach without a plan of seats."""

import os
import sqlite3
import tempfile

path = tempfile.mkdtemp() + "/seats.db"
os.environ["SEATS"] = f"sqlite+aiosqlite:///{path}"
with sqlite3.connect(path) as database:
    database.execute("create table coach (train integer, coach integer, seats text)")
    database.execute("insert into coach values (12, 1, '1,2,3'), (12, 2, null)")

from fastapi.testclient import TestClient

from shop import app

TestClient(app, raise_server_exceptions=False).get("/trains/12")
