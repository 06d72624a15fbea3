"""The parts that the MCP server is made of: who is at the door, cursors, prompts, resources, news.

Nothing here is heavy: what answers a call is imported with the first call.
"""
