"""Printers of the table's rows in other languages."""
