"""The layout of a page, by a feature flag."""

from flask import Flask, jsonify
from openfeature import api

app = Flask(__name__)
COLUMNS = {"list": 1, "cards": 3}


def columns():
    return COLUMNS[api.get_client().get_string_value("layout", "list")]


@app.get("/columns")
def show():
    return jsonify(columns=columns())
