"""What prints the rows of the table in other languages."""
