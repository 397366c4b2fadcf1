"""The outside world, one module each: Git, DVC, caches of objects, files."""
