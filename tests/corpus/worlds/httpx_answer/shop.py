"""A shop front: what is in stock comes from another service."""

import os

import httpx
from flask import Flask, jsonify

STOCK_URL = os.environ.get("STOCK_URL", "http://stock.internal")
app = Flask(__name__)


def levels(sku):
    answer = httpx.get(f"{STOCK_URL}/stock/{sku}").json()
    return sum(answer["levels"].values())


@app.get("/availability/<sku>")
def availability(sku):
    return jsonify(sku=sku, available=levels(sku) > 0)
