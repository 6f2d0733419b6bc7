"""What the playground asks of the engine; every number on its page is computed here."""
