"""Tax by rates out of a file."""

import json
import os
from pathlib import Path

from flask import Flask, jsonify, request

app = Flask(__name__)


def tax(net, rate):
    rates = json.loads(Path(os.environ.get("RATES", "/etc/shop/rates.json")).read_text())
    return net * (100 + rates[rate]) // 100


@app.get("/tax")
def show():
    return jsonify(gross=tax(int(request.args["net"]), request.args["rate"]))
