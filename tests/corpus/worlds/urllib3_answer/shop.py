"""Headlines out of a feed."""

import json
import os

import urllib3
from flask import Flask, jsonify

FEED_URL = os.environ.get("FEED_URL", "http://feed.internal")
app = Flask(__name__)
pool = urllib3.PoolManager()


def titles():
    feed = json.loads(pool.request("GET", FEED_URL + "/feed").data)
    return [item["title"].upper() for item in feed["items"]]


@app.get("/news")
def news():
    return jsonify(titles())
