"""Maps: where the samples of a data set lie beside each other."""
