"""The demo's small worlds: applications made on the spot, and the traffic that breaks them."""
