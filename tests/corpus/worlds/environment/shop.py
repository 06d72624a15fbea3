"""Pages of a list; how long a page is comes from the surroundings."""

from flask import Flask, jsonify, request

import configured

app = Flask(__name__)


def pages(items):
    return -(-items // configured.PAGE_SIZE)


@app.get("/pages")
def show():
    return jsonify(pages=pages(int(request.args["items"])))
