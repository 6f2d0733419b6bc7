"""What `compile` does: a function of scalars is recorded once and replayed at native speed."""
