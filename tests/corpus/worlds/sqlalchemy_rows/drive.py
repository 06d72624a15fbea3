"""A row that lacks what the code takes for granted."""

import os
import tempfile

os.environ["DATABASE_URL"] = "sqlite:///" + tempfile.mkdtemp() + "/shop.db"

from shop import Base, Line, app, engine
from sqlalchemy.orm import Session

Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Line(order=7, cents=1200), Line(order=7, cents=None)])
    session.commit()
app.test_client().get("/orders/7")
