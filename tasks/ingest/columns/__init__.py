"""What the columns of a source are: their types, their kinds, and the role of each."""
