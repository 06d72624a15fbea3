"""What can be set from outside."""

import os

PAGE_SIZE = int(os.environ.get("PAGE_SIZE", "25"))
