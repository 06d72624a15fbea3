"""One visitor in a hundred sees the new banner."""

import random

from flask import Flask, jsonify

app = Flask(__name__)
BANNERS = {"old": "Welcome", "beta": None}


def banner():
    name = "beta" if random.randrange(100) == 57 else "old"
    return BANNERS[name].upper()


@app.get("/banner")
def show():
    return jsonify(banner=banner())
