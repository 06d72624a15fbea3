"""What every door over HTTP shares: bodies within a bound, answers, the addresses of this server."""
