"""Decisions that come from elsewhere or go there: spreadsheets, Label Studio, other machines."""
