"""Where the figures of the README come from: programs that anyone can run, never timed tests."""
