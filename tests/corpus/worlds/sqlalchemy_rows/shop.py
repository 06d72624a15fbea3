"""Orders in a database, over SQLAlchemy."""

import os

from flask import Flask, jsonify
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = Flask(__name__)
engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:////var/lib/shop/shop.db"))


class Base(DeclarativeBase):
    pass


class Line(Base):
    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[int]
    cents: Mapped[int | None]


def total(number):
    with Session(engine) as session:
        return sum(line.cents for line in session.scalars(select(Line).where(Line.order == number)))


@app.get("/orders/<int:number>")
def order(number):
    return jsonify(total=total(number))
