"""Lines of a report, from another service, asked by httpx as a stream and read when it is small."""

import os

import httpx
from flask import Flask, jsonify

REPORTS_URL = os.environ.get("REPORTS_URL", "http://reports.internal")
app = Flask(__name__)


def lines(month):
    with httpx.stream("GET", f"{REPORTS_URL}/{month}") as answer:
        if int(answer.headers["content-length"]) > 1_000_000:
            return []
        answer.read()
        return [line["cents"] // line["pieces"] for line in answer.json()["lines"]]


@app.get("/reports/<month>")
def show(month):
    return jsonify(lines(month))
