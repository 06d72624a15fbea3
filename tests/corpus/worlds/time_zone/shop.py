"""Opening hours by the zone of the shop."""

import time

from flask import Flask, jsonify

app = Flask(__name__)
HOURS = {0: "nine to five", 1: "ten to six"}


def hours():
    return HOURS[-time.timezone // 3600]


@app.get("/opening")
def opening():
    return jsonify(open=hours())
