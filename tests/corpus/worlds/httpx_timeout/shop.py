"""Prices of another service, with the last known one where it cannot be had."""

import os

import httpx
from flask import Flask, jsonify

PRICE_URL = os.environ.get("PRICE_URL", "http://prices.internal")
app = Flask(__name__)
last_known = {}


def price(number):
    try:
        return httpx.get(f"{PRICE_URL}/{number}").json()["price"]
    except httpx.HTTPError:
        return last_known[number]


@app.get("/price/<int:number>")
def show(number):
    return jsonify(price=price(number))
