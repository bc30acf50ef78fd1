"""Maps: where the samples of a data set are beside each other."""
