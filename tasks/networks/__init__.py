"""Networks trained out of fold: their penultimate features are what the exact head is then fitted on."""
