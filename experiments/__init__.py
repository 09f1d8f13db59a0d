"""What papers show: one module per figure. `python -m experiments` lists them."""
