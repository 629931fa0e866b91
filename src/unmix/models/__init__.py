"""Networks, their files, and the separator built from four of them."""
