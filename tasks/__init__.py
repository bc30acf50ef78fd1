"""The steps: one folder for each, maths in pure functions, a thin task around them."""
