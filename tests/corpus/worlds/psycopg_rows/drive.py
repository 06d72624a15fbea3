"""A price that was never entered."""

import os

from traffic import postgres

with postgres() as url:
    os.environ["PRICES"] = url
    import psycopg
    from shop import app

    with psycopg.connect(url) as database:
        database.execute("create table price (sku text, kind text, cents integer)")
        database.execute("insert into price values ('A-1', 'tea', 400), ('A-2', 'tea', null)")
    app.test_client().get("/cheapest/tea")
