"""Whether a patch is a repair: by execution, and by rules with names."""
