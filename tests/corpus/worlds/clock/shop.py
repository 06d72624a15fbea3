"""Contracts run for a year."""

import datetime

from flask import Flask, jsonify

app = Flask(__name__)


def renewal():
    today = datetime.date.today()
    return today.replace(year=today.year + 1)


@app.get("/renewal")
def show():
    return jsonify(until=renewal().isoformat())
