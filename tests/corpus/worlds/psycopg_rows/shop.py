"""Prices in PostgreSQL, over psycopg."""

import os

import psycopg
from flask import Flask, jsonify

app = Flask(__name__)


def cheapest(kind):
    with psycopg.connect(os.environ.get("PRICES", "postgresql://prices.internal/shop")) as database:
        rows = database.execute("select sku, cents from price where kind = %s", (kind,)).fetchall()
    return min(rows, key=lambda row: row[1])[0]


@app.get("/cheapest/<kind>")
def show(kind):
    return jsonify(sku=cheapest(kind))
