"""Seats in a database, over asynchronous SQLAlchemy."""

import os

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

app = FastAPI()
engine = create_async_engine(os.environ.get("SEATS", "sqlite+aiosqlite:////var/lib/seats.db"))


async def rows_of(train):
    async with engine.connect() as connection:
        found = await connection.execute(text("select coach, seats from coach where train = :train"), {"train": train})
        return [tuple(row) for row in found]


@app.get("/trains/{train}")
async def show(train: int):
    return {"seats": sum(len(seats.split(",")) for _, seats in await rows_of(train))}
