"""The demo's small worlds: applications made on the spot, with a dated history, and the traffic that breaks them."""
