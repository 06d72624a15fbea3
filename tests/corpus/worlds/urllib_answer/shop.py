"""Opening hours of a branch, from another service, asked by urllib."""

import json
import os
from urllib.request import urlopen

from flask import Flask, jsonify

BRANCHES_URL = os.environ.get("BRANCHES_URL", "http://branches.internal")
app = Flask(__name__)


def hours(branch):
    with urlopen(f"{BRANCHES_URL}/{branch}") as answer:
        days = json.load(answer)["days"]
    return {day: int(closes) - int(opens) for day, (opens, closes) in days.items()}


@app.get("/hours/<branch>")
def show(branch):
    return jsonify(hours(branch))
