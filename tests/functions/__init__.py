"""Random Python functions: a generator, a second differentiator, questions, and a shrinker."""
